// shared / matrix_sliding_sum
//   product[m,n] = finish(sum over k of left(m,k) * right(k,n)),   m < M, n < 4 N4, k < K
//
//   The counterpart of matrix_sliding for the weight gradient, where places are terms of the sums and taps are rows of
//   the product. A lane computes the TAPS taps of one vec4 of channels, which are 4 TAPS rows, by TILE_COLUMNS4 vec4 of
//   columns. For every four adjacent places, it loads the elements below all of them once for all taps.
//
//   Terms form runs of RUN adjacent places, and m = 4 (block, tap, part), where TAP4 parts are the vec4 of the
//   channels. Each of SPLIT groups sums CHUNK times four places; with SPLIT > 1, `product` is [SPLIT,M,N], the partial
//   sums for matrix_reduce.
// with: shared/left, shared/right_lanes, shared/linear, shared/finish_nothing

const M = 96u;
const N4 = 16u;
const K = 64u;
const TILE_COLUMNS4 = 2u;
const TILES_ACROSS = 8u;
const TILES_DOWN = 1u;
const SPLIT = 1u;
const CHUNK = 16u;
const RUN = 8u;
const TAPS = 3u;
const TAP4 = 8u;

@group(0) @binding(2) var<storage, read_write> product: array<vec4<f32>>;

const BLOCKS = M / (4u * TAPS);
const FOURS_A_RUN = (RUN + 3u) / 4u;
const SPAN = TAPS + 3u;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let tile = linear_group(group);
    let split = tile / (TILES_ACROSS * TILES_DOWN);
    let own = (tile / TILES_ACROSS) % TILES_DOWN * LANES + lane;
    let block = min(own, BLOCKS - 1u);
    let m4 = block / TAP4 * (TAPS * TAP4) + block % TAP4;
    let n0 = tile % TILES_ACROSS * TILE_COLUMNS4;

    let row = row_left(m4);
    var acc: array<array<vec4<f32>, TILE_COLUMNS4>, 4u * TAPS>;
    let end = min((split + 1u) * CHUNK, K / RUN * FOURS_A_RUN);
    for (var four = split * CHUNK; four < end; four++) {
        // The last four places of a run start early enough to end with it; terms that have been added already are
        // skipped.
        let first = four % FOURS_A_RUN * 4u;
        let place = min(first, RUN - 4u);
        let k = four / FOURS_A_RUN * RUN + place;
        let col = col_left(k);
        var v: array<vec4<f32>, SPAN>;
        for (var j = 0u; j < SPAN; j++) {
            v[j] = left_at(row, slide_left(col, j));
        }
        var a: array<vec4<f32>, 4u * TAPS>; // a[i]: row i, terms k to k + 3
        for (var t = 0u; t < TAPS; t++) {
            let terms = transpose(mat4x4<f32>(v[t], v[t + 1u], v[t + 2u], v[t + 3u]));
            a[4u * t] = terms[0];
            a[4u * t + 1u] = terms[1];
            a[4u * t + 2u] = terms[2];
            a[4u * t + 3u] = terms[3];
        }
        var dealt = right_dealt(k, n0, lane);
        var b: array<mat4x4<f32>, TILE_COLUMNS4>;
        for (var j = 0u; j < TILE_COLUMNS4; j++) {
            b[j] = right_column(&dealt, j);
            if RUN % 4u != 0u {
                for (var q = 0u; q < 4u; q++) {
                    b[j][q] = select(vec4<f32>(0.0), b[j][q], place + q >= first);
                }
            }
        }
        for (var i = 0u; i < 4u * TAPS; i++) {
            for (var j = 0u; j < TILE_COLUMNS4; j++) {
                acc[i][j] = acc[i][j] + a[i].x * b[j][0] + a[i].y * b[j][1] + a[i].z * b[j][2] + a[i].w * b[j][3];
            }
        }
    }
    for (var j = 0u; j < TILE_COLUMNS4; j++) {
        let column = column_term(min(n0 + j, N4 - 1u));
        for (var i = 0u; i < 4u * TAPS; i++) {
            if split < SPLIT && own < BLOCKS && n0 + j < N4 {
                let m = 4u * (m4 + i / 4u * TAP4) + i % 4u;
                let at = (split * M + m) * N4 + n0 + j;
                product[at] = finish(at, column, acc[i][j]);
            }
        }
    }
}
