// dense / backward_weight
//   dw[i,o] = sum over n of x[n,i] * dy[n,o]
//   x [N,I]   dy [N,O]   dw [I,O]
//   As a matrix product: m = i, n = o, k = n; x is read along i, dy along o.
// with: shared/matrix_register | matrix_staged | matrix_subgroup

const INPUTS4 = 1u;
const OUTPUTS4 = 1u;

const LEFT_ALONG_M = true;
const RIGHT_ALONG_K = false;
const PADDED = false;
const OUTSIDE = 0xffffffffu;

fn row_left(m4: u32) -> vec3<u32> {
    return vec3<u32>(m4, 0u, 0u);
}

fn col_left(k: u32) -> vec3<u32> {
    return vec3<u32>(k * INPUTS4, 0u, 0u);
}

fn address_left(row: vec3<u32>, col: vec3<u32>) -> u32 {
    return row.x + col.x;
}

fn row_right(k: u32) -> u32 {
    return k * OUTPUTS4;
}

fn col_right(n4: u32) -> u32 {
    return n4;
}
