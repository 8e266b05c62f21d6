// conv2d / backward_input
//   dx[n,h,w,c] = f'(x) * sum over r,s,k of dy[n,p,q,k] * w[r,s,c,k],   p = h+pad-r, q = w+pad-s; stride 1
//   dy [N,P,Q,K]   w [R,S,C,K]   dx [N,H,W,C]
//   as a matrix product: m = (n,h,w), n = c, k = (r,s,k); dy is read along k, w along k

const HEIGHT = 8u;
const WIDTH = 8u;
const CHANNELS4 = 1u;
const KERNEL_W = 3u;
const PAD_TOP = 0u;
const PAD_LEFT = 0u;
const OUT_HEIGHT = 6u;
const OUT_WIDTH = 6u;
const FILTERS4 = 1u;

const LEFT_ALONG_M = false;
const RIGHT_ALONG_K = true;
const PADDED = true;
const OUTSIDE = 0xffffffffu;

// Where dy would be for r = s = 0, and its row and column there.
fn row_left(m: u32) -> vec3<u32> {
    let p = m / WIDTH % HEIGHT + PAD_TOP;
    let q = m % WIDTH + PAD_LEFT;
    return vec3<u32>(((m / (WIDTH * HEIGHT) * OUT_HEIGHT + p) * OUT_WIDTH + q) * FILTERS4, p, q);
}

fn col_left(k4: u32) -> vec3<u32> {
    let r = k4 / (KERNEL_W * FILTERS4);
    let s = k4 / FILTERS4 % KERNEL_W;
    return vec3<u32>(k4 % FILTERS4 - (r * OUT_WIDTH + s) * FILTERS4, r, s);
}

// Above or left of dy, p - r and q - s wrap to numbers far above any size.
fn address_left(row: vec3<u32>, col: vec3<u32>) -> u32 {
    let inside = row.y - col.y < OUT_HEIGHT && row.z - col.z < OUT_WIDTH;
    return select(OUTSIDE, row.x + col.x, inside);
}

fn row_right(k4: u32) -> u32 {
    return k4 / FILTERS4 * (CHANNELS4 * 4u * FILTERS4) + k4 % FILTERS4;
}

fn col_right(n: u32) -> u32 {
    return n * FILTERS4;
}
