// shared / matrix_subgroup
//   product[m,n] = finish(sum over k of left(m,k) * right(k,n)),   m < M, n < 4 N4, k < K
//
//   The subgroup form of the matrix engine, for drivers that run a subgroup as one vector on a CPU (lavapipe). A
//   workgroup is one subgroup, whose lanes have the same columns and different rows: each computes TILE_ROWS rows by
//   32 * TILE_COLUMNS32 columns. All lanes need the same elements of the right operand, so the loads are distributed
//   among them (right_lanes).
//
//   The address map and the epilogue are those of matrix_register.
// with: shared/left, shared/left_rows, shared/right_lanes, shared/linear
// with: shared/finish_nothing | finish_bias | finish_dropout | finish_producer

const M = 64u;
const N4 = 16u;
const K = 64u;
const TILE_ROWS = 4u;
const TILE_COLUMNS32 = 1u;
const SPLIT = 1u;
const CHUNK = 64u;
const TILES_ACROSS = 2u;
const TILES_DOWN = 2u;

@group(0) @binding(2) var<storage, read_write> product: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let tile = linear_group(group);
    let split = tile / (TILES_ACROSS * TILES_DOWN);
    let m0 = ((tile / TILES_ACROSS) % TILES_DOWN * LANES + lane) * TILE_ROWS;
    let n0 = tile % TILES_ACROSS * TILE_COLUMNS32 * 8u;

    var rows = rows_from(m0);
    var acc: array<array<array<vec4<f32>, 8>, TILE_COLUMNS32>, TILE_ROWS>;
    let end = min((split + 1u) * CHUNK, K);
    for (var k = split * CHUNK; k < end; k += 4u) {
        var a = left_terms(&rows, k); // a[i]: row i, terms k to k + 3
        for (var c = 0u; c < TILE_COLUMNS32; c++) {
            var dealt = right_dealt(k, n0 + 8u * c, lane);
            for (var j = 0u; j < 8u; j++) {
                let b = right_column(&dealt, j);
                for (var i = 0u; i < TILE_ROWS; i++) {
                    acc[i][c][j] = acc[i][c][j] + a[i].x * b[0] + a[i].y * b[1] + a[i].z * b[2] + a[i].w * b[3];
                }
            }
        }
    }
    for (var c = 0u; c < TILE_COLUMNS32; c++) {
        for (var j = 0u; j < 8u; j++) {
            let n = n0 + 8u * c + j;
            let column = column_term(min(n, N4 - 1u));
            for (var i = 0u; i < TILE_ROWS; i++) {
                if split < SPLIT && m0 + i < M && n < N4 {
                    let at = (split * M + m0 + i) * N4 + n;
                    product[at] = finish(at, column, acc[i][c][j]);
                }
            }
        }
    }
}
