// batch_norm / rows
//   A batch as x [ROWS, COLUMNS]: a row for each pixel of each image, and a column for each pack of channels. The rows
//   of padding images come last and are not part of the statistics.
// with: shared/step

const BATCH = 1u;
const PLACES = 1u;
const COLUMNS = 1u;
const CHUNK = 1u;

const ROWS = BATCH * PLACES;

// Number of rows that are not padding.
fn counted() -> u32 {
    return min(step.count, BATCH) * PLACES;
}

// Number of rows that the sums in mean, var, dw and db were taken over, M: more than `counted` if ranks share them.
fn pooled() -> u32 {
    return max(max(min(step.count, BATCH), step.pooled) * PLACES, 1u);
}
