// conv2d / backward_weight
//   dw[r,s,c,k] = sum over n,p,q of dy[n,p,q,k] * x[n, p*stride+r-pad, q*stride+s-pad, c]
//   x [N,H,W,C]   dy [N,P,Q,K]   dw [R,S,C,K]
//   As a matrix product: m = (r,s,c), n = k, k = (n,p,q); x is read along c, dy along k.
// with: shared/window, shared/matrix_register | matrix_staged | matrix_subgroup | matrix_sliding_sum

const CHANNELS4 = 1u;
const FILTERS4 = 1u;

const LEFT_ALONG_M = true;
const RIGHT_ALONG_K = false;
const PADDED = false;
const BACKWARDS = false;
const OUTSIDE = 0xffffffffu;

fn row_left(m4: u32) -> vec3<u32> {
    let r = m4 / (KERNEL_W * CHANNELS4);
    let s = m4 / CHANNELS4 % KERNEL_W;
    return vec3<u32>((r * WIDTH + s) * CHANNELS4 + m4 % CHANNELS4, r, s);
}

// The top left corner of the window, as in forward.
fn col_left(k: u32) -> vec3<u32> {
    let h = k / OUT_WIDTH % OUT_HEIGHT * STRIDE_H - PAD_TOP;
    let w = k % OUT_WIDTH * STRIDE_W - PAD_LEFT;
    return vec3<u32>(((k / (OUT_WIDTH * OUT_HEIGHT) * HEIGHT + h) * WIDTH + w) * CHANNELS4, h, w);
}

fn address_left(row: vec3<u32>, col: vec3<u32>) -> u32 {
    let inside = row.y + col.y < HEIGHT && row.z + col.z < WIDTH;
    return select(row.x + col.x, OUTSIDE, PADDED && !inside);
}

// Moves j places to the right.
fn slide_left(col: vec3<u32>, j: u32) -> vec3<u32> {
    return col + vec3<u32>(j * CHANNELS4, 0u, j);
}

fn row_right(k: u32) -> u32 {
    return k * FILTERS4;
}

fn col_right(n4: u32) -> u32 {
    return n4;
}
