// conv2d / pixels
//   What the direct passes have in common: loading the pixels that PLACES adjacent places of the window cover.
//   x [N,H,W,C] is read by `load_left`, four elements at a time.
// with: shared/window, shared/left_buffer | left_texture

const FILTERS4 = 1u;
const PADDED = false;

// Number of places per block; the last block of a row may extend past its end.
const PLACES = 4u;
const BLOCKS = (OUT_WIDTH + PLACES - 1u) / PLACES;
// Number of elements of x in a row of the window, and in a row of all windows of a block.
const ROW_TAPS = KERNEL_W * CHANNELS;
const SPAN = (PLACES - 1u) * STRIDE_W * CHANNELS + ROW_TAPS;

// If rows of x consist of whole vec4, every block starts SKIP elements after the start of a vec4, in every row.
const ALIGNED = WIDTH * CHANNELS % 4u == 0u;
const WIDTH4 = WIDTH * CHANNELS / 4u;
const SKIP = (4u - PAD_LEFT * CHANNELS % 4u) % 4u;
const SPAN4 = (SKIP + SPAN + 3u) / 4u;

// The elements of x that the block from q0 on covers in row h of image n; zeros outside the image. Rows above and
// columns left of the image wrap to huge numbers.
fn pixels(n: u32, h: u32, q0: u32) -> array<f32, SPAN> {
    let left = q0 * STRIDE_W - PAD_LEFT;
    var found: array<f32, SPAN>;
    if ALIGNED {
        let first = (n * HEIGHT + h) * WIDTH4 + q0 * STRIDE_W * CHANNELS / 4u - (PAD_LEFT * CHANNELS + SKIP) / 4u;
        var fours: array<vec4<f32>, SPAN4>;
        for (var j = 0u; j < SPAN4; j++) {
            fours[j] = load_left(first + j);
        }
        for (var j = 0u; j < SPAN; j++) {
            found[j] = fours[(SKIP + j) / 4u][(SKIP + j) % 4u];
        }
    } else {
        let first = ((n * HEIGHT + h) * WIDTH + left) * CHANNELS;
        for (var j = 0u; j < SPAN; j++) {
            found[j] = load_left((first + j) / 4u)[(first + j) % 4u];
        }
    }
    if PADDED {
        for (var j = 0u; j < SPAN; j++) {
            found[j] = select(0.0, found[j], h < HEIGHT && left + j / CHANNELS < WIDTH);
        }
    }
    return found;
}
