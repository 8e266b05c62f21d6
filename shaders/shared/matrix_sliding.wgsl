// shared / matrix_sliding
//   product[m,n] = finish(sum over k of left(m,k) * right(k,n)),   m < M, n < 4 N4, k < K
//
//   The sliding form of the matrix engine, for convolutions with a horizontal stride of 1, on drivers that run a
//   subgroup as one vector on a CPU. Windows at adjacent places overlap: with TAPS columns each, they share elements. A
//   lane computes TILE_ROWS adjacent places by TILE_COLUMNS4 vec4 of columns, and loads the elements below all of them
//   once for all taps. Tiles are small, so that an iteration of the loop fits in the cache of decoded instructions. The
//   right operand is distributed among the lanes as in matrix_subgroup.
//
//   Rows of the product form runs of RUN adjacent places. A term is k = 4 (block, tap, part), where TAP4 parts are the
//   vec4 of the channels. `slide_left(at, j)` of the address map moves j places to the right. With BACKWARDS, a step to
//   the right has the effect of a smaller tap instead of a larger one. Otherwise the address map and the epilogue are
//   those of matrix_register.
// with: shared/left, shared/right_lanes, shared/linear, shared/finish_nothing | finish_bias | finish_dropout | finish_producer

const M = 64u;
const N4 = 16u;
const K = 96u;
const TILE_ROWS = 8u;
const TILE_COLUMNS4 = 2u;
const TILES_ACROSS = 8u;
const RUN = 8u;
const TAPS = 3u;
const TAP4 = 1u;

@group(0) @binding(2) var<storage, read_write> product: array<vec4<f32>>;

const TILES_A_RUN = (RUN + TILE_ROWS - 1u) / TILE_ROWS;
const TILES_DOWN = M / RUN * TILES_A_RUN;
const SPAN = TILE_ROWS + TAPS - 1u;
const FIRST_TAP4 = u32(BACKWARDS) * (TAPS - 1u) * TAP4;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let tile = linear_group(group);
    let down = min(tile / TILES_ACROSS * LANES + lane, TILES_DOWN - 1u);
    // The last tile of a run starts early enough to end with it, and does not store rows that the tile before it
    // stores.
    let first = down % TILES_A_RUN * TILE_ROWS;
    let place = min(first, RUN - TILE_ROWS);
    let m0 = down / TILES_A_RUN * RUN + place;
    let n0 = tile % TILES_ACROSS * TILE_COLUMNS4;

    let row = row_left(m0);
    var acc: array<array<vec4<f32>, TILE_COLUMNS4>, TILE_ROWS>;
    // ANCHOR: loop
    for (var block = 0u; block < K / (4u * TAPS); block++) {
        let k4 = block / TAP4 * (TAPS * TAP4) + block % TAP4;
        let col = col_left(k4 + FIRST_TAP4);
        var a: array<vec4<f32>, SPAN>;
        for (var j = 0u; j < SPAN; j++) {
            a[j] = left_at(slide_left(row, j), col);
        }
        var b: array<array<mat4x4<f32>, TILE_COLUMNS4>, TAPS>;
        for (var t = 0u; t < TAPS; t++) {
            let tap = select(t, TAPS - 1u - t, BACKWARDS);
            var dealt = right_dealt(4u * (k4 + tap * TAP4), n0, lane);
            for (var j = 0u; j < TILE_COLUMNS4; j++) {
                b[t][j] = right_column(&dealt, j);
            }
        }
        for (var i = 0u; i < TILE_ROWS; i++) {
            for (var j = 0u; j < TILE_COLUMNS4; j++) {
                // Summing the taps first shortens the chain of additions that depend on `acc` to a third.
                var sum = vec4<f32>(0.0);
                for (var t = 0u; t < TAPS; t++) {
                    let v = a[i + t];
                    sum += v.x * b[t][j][0] + v.y * b[t][j][1] + v.z * b[t][j][2] + v.w * b[t][j][3];
                }
                acc[i][j] += sum;
            }
        }
    }
    // ANCHOR_END: loop
    for (var j = 0u; j < TILE_COLUMNS4; j++) {
        let column = column_term(min(n0 + j, N4 - 1u));
        for (var i = 0u; i < TILE_ROWS; i++) {
            if place + i >= first && n0 + j < N4 {
                let at = (m0 + i) * N4 + n0 + j;
                product[at] = finish(at, column, acc[i][j]);
            }
        }
    }
}
