// shared / matrix_register
//   product[m,n] = finish(sum over k of left(m,k) * right(k,n)),   m < M, n < 4 N4, k < K
//
//   The register form of the matrix engine, without workgroup memory: an invocation keeps a tile of TILE_ROWS rows by
//   TILE_COLUMNS4 * 4 columns in registers and reads its own operands, four terms of the sum at a time. A workgroup
//   computes ACROSS x DOWN such tiles. With SPLIT > 1, each workgroup sums only CHUNK terms, and `product` is
//   [SPLIT,M,N], the partial sums for matrix_reduce.
//
//   The operands are defined by an address map, the pass's own file. An operand is read four elements at a time, along
//   one of its two indices, and the functions of the map take that index divided by four:
//     row_left(m), col_left(k), address_left(row, col)    m is divided by four if LEFT_ALONG_M, otherwise k
//     row_right(k), col_right(n)                          k is divided by four if RIGHT_ALONG_K, otherwise n
//   The final operation on a sum is defined by an epilogue: finish(index of the vec4 in product, column_term(n / 4),
//   sum). column_term is what all rows of a column have in common, so that it is read only once.
//
//   The accumulator is a nested array and the four terms are added in one statement on purpose: with a flat array or
//   with four statements, lavapipe loses half to nine tenths of its speed.
// with: shared/left, shared/left_rows, shared/linear, shared/right_buffer | right_texture
// with: shared/finish_nothing | finish_bias | finish_dropout | finish_producer

const M = 64u;
const N4 = 16u;
const K = 64u;
const TILE_ROWS = 4u;
const TILE_COLUMNS4 = 1u;
const ACROSS = 8u;
const DOWN = 8u;
const SPLIT = 1u;
const CHUNK = 64u;
const TILES_ACROSS = 2u;
const TILES_DOWN = 2u;

@group(0) @binding(2) var<storage, read_write> product: array<vec4<f32>>;

fn right_term(k: u32) -> u32 {
    return row_right(min(k, K - 1u));
}

@compute @workgroup_size(ACROSS * DOWN)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tile = linear_group(group);
    let split = tile / (TILES_ACROSS * TILES_DOWN);
    let m0 = ((tile / TILES_ACROSS) % TILES_DOWN * DOWN + local / ACROSS) * TILE_ROWS;
    let n0 = (tile % TILES_ACROSS * ACROSS + local % ACROSS) * TILE_COLUMNS4;

    var rows = rows_from(m0);
    var acc: array<array<vec4<f32>, TILE_COLUMNS4>, TILE_ROWS>;
    let end = min((split + 1u) * CHUNK, K);
    for (var k = split * CHUNK; k < end; k += 4u) {
        var a = left_terms(&rows, k); // a[i]: row i, terms k to k + 3
        if RIGHT_ALONG_K {
            let row = row_right(k / 4u);
            for (var j = 0u; j < TILE_COLUMNS4; j++) {
                let n = min(n0 + j, N4 - 1u) * 4u;
                let t0 = load_right(row + col_right(n));
                let t1 = load_right(row + col_right(n + 1u));
                let t2 = load_right(row + col_right(n + 2u));
                let t3 = load_right(row + col_right(n + 3u));
                let b0 = vec4<f32>(t0.x, t1.x, t2.x, t3.x);
                let b1 = vec4<f32>(t0.y, t1.y, t2.y, t3.y);
                let b2 = vec4<f32>(t0.z, t1.z, t2.z, t3.z);
                let b3 = vec4<f32>(t0.w, t1.w, t2.w, t3.w);
                for (var i = 0u; i < TILE_ROWS; i++) {
                    acc[i][j] = acc[i][j] + a[i].x * b0 + a[i].y * b1 + a[i].z * b2 + a[i].w * b3;
                }
            }
        } else {
            let row0 = right_term(k);
            let row1 = right_term(k + 1u);
            let row2 = right_term(k + 2u);
            let row3 = right_term(k + 3u);
            for (var j = 0u; j < TILE_COLUMNS4; j++) {
                let col = col_right(min(n0 + j, N4 - 1u));
                let b0 = load_right(row0 + col);
                let b1 = load_right(row1 + col);
                let b2 = load_right(row2 + col);
                let b3 = load_right(row3 + col);
                for (var i = 0u; i < TILE_ROWS; i++) {
                    acc[i][j] = acc[i][j] + a[i].x * b0 + a[i].y * b1 + a[i].z * b2 + a[i].w * b3;
                }
            }
        }
    }
    for (var j = 0u; j < TILE_COLUMNS4; j++) {
        let column = column_term(min(n0 + j, N4 - 1u));
        for (var i = 0u; i < TILE_ROWS; i++) {
            if split < SPLIT && m0 + i < M && n0 + j < N4 {
                let at = (split * M + m0 + i) * N4 + n0 + j;
                product[at] = finish(at, column, acc[i][j]);
            }
        }
    }
}
