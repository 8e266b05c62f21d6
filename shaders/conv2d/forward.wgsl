// conv2d / forward
//   y[n,p,q,k] = f(b[k] + sum over r,s,c of x[n, p*stride+r-pad, q*stride+s-pad, c] * w[r,s,c,k])
//   x [N,H,W,C]   w [R,S,C,K]   y [N,P,Q,K]
//   As a matrix product: m = (n,p,q), n = k, k = (r,s,c); x is read along c, w along k. `place_of` maps m to (n,p,q).
// with: shared/window, conv2d/places_each | places_pooled
// with: shared/matrix_register | matrix_staged | matrix_subgroup | matrix_sliding

const CHANNELS4 = 1u;
const FILTERS4 = 1u;

const LEFT_ALONG_M = false;
const RIGHT_ALONG_K = false;
const PADDED = false;
const BACKWARDS = false;
const OUTSIDE = 0xffffffffu;

// The top left corner of the window: address, row and column. Above or left of the image they wrap, and adding r and s
// brings them back into range.
fn row_left(m: u32) -> vec3<u32> {
    let place = place_of(m);
    let h = place / OUT_WIDTH % OUT_HEIGHT * STRIDE_H - PAD_TOP;
    let w = place % OUT_WIDTH * STRIDE_W - PAD_LEFT;
    return vec3<u32>(((place / (OUT_WIDTH * OUT_HEIGHT) * HEIGHT + h) * WIDTH + w) * CHANNELS4, h, w);
}

fn col_left(k4: u32) -> vec3<u32> {
    let r = k4 / (KERNEL_W * CHANNELS4);
    let s = k4 / CHANNELS4 % KERNEL_W;
    return vec3<u32>((r * WIDTH + s) * CHANNELS4 + k4 % CHANNELS4, r, s);
}

fn address_left(row: vec3<u32>, col: vec3<u32>) -> u32 {
    let inside = row.y + col.y < HEIGHT && row.z + col.z < WIDTH;
    return select(row.x + col.x, OUTSIDE, PADDED && !inside);
}

// Moves j places to the right.
fn slide_left(row: vec3<u32>, j: u32) -> vec3<u32> {
    return row + vec3<u32>(j * CHANNELS4, 0u, j);
}

fn row_right(k: u32) -> u32 {
    return k * FILTERS4;
}

fn col_right(n4: u32) -> u32 {
    return n4;
}
