// conv2d / backward_input
//   dx[n,h,w,c] = f'(x) * sum over r,s,k of dy[n,p,q,k] * w[r,s,c,k],   p*stride = h+pad-r, q*stride = w+pad-s
//   dy [N,P,Q,K]   w [R,S,C,K]   dx [N,H,W,C]
//   As a matrix product: m = (n,h,w), n = c, k = (r,s,k); dy is read along k, w along k.
// with: shared/window, shared/matrix_register | matrix_staged | matrix_subgroup | matrix_sliding

const CHANNELS4 = 1u;
const FILTERS4 = 1u;

const LEFT_ALONG_M = false;
const RIGHT_ALONG_K = true;
const PADDED = true;
const BACKWARDS = true;
const OUTSIDE = 0xffffffffu;

// The address of dy of the image, then h + pad and w + pad.
fn row_left(m: u32) -> vec3<u32> {
    let h = m / WIDTH % HEIGHT + PAD_TOP;
    let w = m % WIDTH + PAD_LEFT;
    return vec3<u32>(m / (WIDTH * HEIGHT) * (OUT_HEIGHT * OUT_WIDTH * FILTERS4), h, w);
}

fn col_left(k4: u32) -> vec3<u32> {
    return vec3<u32>(k4 % FILTERS4, k4 / (KERNEL_W * FILTERS4), k4 / FILTERS4 % KERNEL_W);
}

// Negative positions wrap to numbers larger than any size; positions that are not a multiple of the stride have no
// window.
fn address_left(row: vec3<u32>, col: vec3<u32>) -> u32 {
    let h = row.y - col.y;
    let w = row.z - col.z;
    let p = h / STRIDE_H;
    let q = w / STRIDE_W;
    let inside = p < OUT_HEIGHT && q < OUT_WIDTH && p * STRIDE_H == h && q * STRIDE_W == w;
    return select(OUTSIDE, row.x + (p * OUT_WIDTH + q) * FILTERS4 + col.x, inside);
}

// Moves j places to the right.
fn slide_left(row: vec3<u32>, j: u32) -> vec3<u32> {
    return vec3<u32>(row.xy, row.z + j);
}

fn row_right(k4: u32) -> u32 {
    return k4 / FILTERS4 * (CHANNELS4 * 4u * FILTERS4) + k4 % FILTERS4;
}

fn col_right(n: u32) -> u32 {
    return n * FILTERS4;
}
