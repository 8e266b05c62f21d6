// dense / backward_input
//   dx[n,i] = f'(x[n,i]) * sum over o of dy[n,o] * w[i,o]
//   dy [N,O]   w [I,O]   dx [N,I]
//   As a matrix product: m = n, n = i, k = o; dy is read along o, w along o.
// with: shared/matrix_register | matrix_staged | matrix_subgroup

const INPUTS4 = 1u;
const OUTPUTS4 = 1u;

const LEFT_ALONG_M = false;
const RIGHT_ALONG_K = true;
const PADDED = false;
const OUTSIDE = 0xffffffffu;

fn row_left(m: u32) -> vec3<u32> {
    return vec3<u32>(m * OUTPUTS4, 0u, 0u);
}

fn col_left(k4: u32) -> vec3<u32> {
    return vec3<u32>(k4, 0u, 0u);
}

fn address_left(row: vec3<u32>, col: vec3<u32>) -> u32 {
    return row.x + col.x;
}

fn row_right(k4: u32) -> u32 {
    return k4;
}

fn col_right(n: u32) -> u32 {
    return n * OUTPUTS4;
}
