// dense / forward
//   y[n,o] = f(b[o] + sum over i of x[n,i] * w[i,o])
//   x [N,I]   w [I,O]   y [N,O]
//   As a matrix product: m = n, n = o, k = i; x is read along i, w along o.
// with: shared/matrix_register | matrix_staged | matrix_subgroup

const INPUTS4 = 1u;
const OUTPUTS4 = 1u;

const LEFT_ALONG_M = false;
const RIGHT_ALONG_K = false;
const PADDED = false;
const OUTSIDE = 0xffffffffu;

fn row_left(m: u32) -> vec3<u32> {
    return vec3<u32>(m * INPUTS4, 0u, 0u);
}

fn col_left(k4: u32) -> vec3<u32> {
    return vec3<u32>(k4, 0u, 0u);
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
