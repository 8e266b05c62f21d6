// batch_norm / rows
//   A batch as x [ROWS, COLUMNS]: a row for each pixel of each image, and a column for each pack of channels. The rows
//   of padding images come last and are not part of the statistics.
// with: shared/step

const BATCH = 1u;
const PLACES = 1u;
const COLUMNS = 1u;
const CHUNK = 1u;

const ROWS = BATCH * PLACES;

// Number of rows that are not padding, M.
fn counted() -> u32 {
    return min(step.count, BATCH) * PLACES;
}
