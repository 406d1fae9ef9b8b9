"""Which loops become blocks."""

from einfall.scalar.memory import Loop
from tests.differential.blocked import BLOCKED, entered
from tests.differential.in_blocks import blocked_of


def forms(name: str, *extents: int) -> list[str]:
    """The loops of the last tile program: grid, then each loop with its kind and the length it is taken to have."""
    kernel, arguments, _ = BLOCKED[name]
    tile = blocked_of(*entered(kernel, arguments(*extents)))[0].tiles[-1]

    def shown(statements, depth: int) -> list[str]:
        found = []
        for item in statements:
            if isinstance(item, Loop):
                found += [f"{'  ' * depth}{item.kind} {item.variable.name}", *shown(item.body, depth + 1)]
        return found

    return [" ".join(axis.variable.name for axis in tile.grid), *shown(tile.body, 0)]


def test_rows_and_columns_of_a_product_are_blocks_and_so_are_its_steps():
    assert forms("product", 100, 100, 100) == [
        "i_block j_block", "vector i", "  vector j", "    sequential k_block", "      vector k"]


def test_what_no_other_instance_reads_is_one_by_itself():
    assert forms("layer", 100, 100, 100)[0] == "b j_block i_block"
    assert forms("softmax", 100, 100)[0] == "i"


def test_a_row_is_taken_in_portions_and_written_in_blocks():
    assert forms("softmax", 100, 5000)[1:] == [
        "sequential j_1", "  vector j_2", "  vector j_3", "sequential j_block", "  vector j"]


def test_a_sum_that_is_no_product_goes_step_by_step_where_its_elements_fill_the_registers():
    assert forms("nearest", 100, 100, 100) == [
        "i_block", "vector i", "  sequential j_block", "    vector j", "      sequential k"]


def test_online_attention_keeps_its_state_and_takes_keys_in_portions():
    assert forms("attention", 100, 100, 100, 100) == [
        "h q_block", "vector q", "  vector e_2", "  sequential k_1", "    vector k_2", "      sequential d_block",
        "        vector d", "    vector k", "    vector k_4", "    vector k_3", "    vector e_3", "      vector k_5",
        "  vector e"]
