// batch_norm / rows
//   What the passes see of a batch: x [ROWS, COLUMNS], a row for each place of each image, a column for each pack of
//   channels. Rows of images that are padding come last, and do not count.
// with: shared/step

const BATCH = 1u;
const PLACES = 1u;
const COLUMNS = 1u;
const CHUNK = 1u;

const ROWS = BATCH * PLACES;

// M: the rows that count.
fn counted() -> u32 {
    return min(step.count, BATCH) * PLACES;
}
