// shared / matrix_subgroup
//   product[m,n] = finish(sum over k of left(m,k) * right(k,n)),   m < M, n < 4 N4, k < K
//
//   The matrix engine for drivers that run a subgroup as one vector on a CPU (lavapipe). The lanes of a workgroup, one
//   subgroup, share their columns and differ in rows: each keeps TILE_ROWS rows by 32 * TILE_COLUMNS32 columns. So the
//   right operand is the same for all, and one load in which every lane fetches another part of it serves the whole
//   subgroup: the parts are handed round by subgroupBroadcast, which is one cheap shuffle there, while a load costs as
//   much as fifty. Needs the feature `subgroup` and subgroups of exactly LANES = 8 or 16.
//
//   Address map and epilogue are those of matrix_register.

const M = 64u;
const N4 = 16u;
const K = 64u;
const LANES = 8u;
const TILE_ROWS = 4u;
const TILE_COLUMNS32 = 1u;
const SPLIT = 1u;
const CHUNK = 64u;
const TILES_ACROSS = 2u;
const TILES_DOWN = 2u;

@group(0) @binding(2) var<storage, read_write> product: array<vec4<f32>>;

// What lane `l` holds. WGSL wants the lane of a broadcast as a constant; where this is called `l` is one as soon as the
// loops round it are unrolled, and the switch is gone.
fn of_lane(t: vec4<f32>, l: u32) -> vec4<f32> {
    switch l {
        case 0u: { return subgroupBroadcast(t, 0u); }
        case 1u: { return subgroupBroadcast(t, 1u); }
        case 2u: { return subgroupBroadcast(t, 2u); }
        case 3u: { return subgroupBroadcast(t, 3u); }
        case 4u: { return subgroupBroadcast(t, 4u); }
        case 5u: { return subgroupBroadcast(t, 5u); }
        case 6u: { return subgroupBroadcast(t, 6u); }
        case 7u: { return subgroupBroadcast(t, 7u); }
        case 8u: { return subgroupBroadcast(t, 8u); }
        case 9u: { return subgroupBroadcast(t, 9u); }
        case 10u: { return subgroupBroadcast(t, 10u); }
        case 11u: { return subgroupBroadcast(t, 11u); }
        case 12u: { return subgroupBroadcast(t, 12u); }
        case 13u: { return subgroupBroadcast(t, 13u); }
        case 14u: { return subgroupBroadcast(t, 14u); }
        default: { return subgroupBroadcast(t, 15u); }
    }
}

const LOADS = 32u / LANES; // of four terms of 32 columns

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
            var t: array<vec4<f32>, LOADS>;
            for (var q = 0u; q < LOADS; q++) {
                if RIGHT_ALONG_K {
                    let n = 4u * n0 + 32u * c + LANES * q + lane;
                    t[q] = load_right(row_right(k / 4u) + col_right(min(n, 4u * N4 - 1u)));
                } else {
                    let term = k + LANES / 8u * q + lane / 8u;
                    let n = n0 + 8u * c + lane % 8u;
                    t[q] = load_right(row_right(min(term, K - 1u)) + col_right(min(n, N4 - 1u)));
                }
            }
            for (var j = 0u; j < 8u; j++) {
                var b: mat4x4<f32>; // b[q]: term k + q of columns 4 j to 4 j + 3
                if RIGHT_ALONG_K {
                    let part = t[4u * j / LANES];
                    let first = 4u * j % LANES;
                    b = transpose(mat4x4<f32>(
                        of_lane(part, first),
                        of_lane(part, first + 1u),
                        of_lane(part, first + 2u),
                        of_lane(part, first + 3u),
                    ));
                } else if LANES == 8u {
                    b = mat4x4<f32>(of_lane(t[0], j), of_lane(t[1], j), of_lane(t[LOADS - 2u], j), of_lane(t[LOADS - 1u], j));
                } else {
                    b = mat4x4<f32>(of_lane(t[0], j), of_lane(t[0], j + 8u), of_lane(t[1], j), of_lane(t[1], j + 8u));
                }
                for (var i = 0u; i < TILE_ROWS; i++) {
                    acc[i][c][j] = acc[i][c][j] + a[i].x * b[0] + a[i].y * b[1] + a[i].z * b[2] + a[i].w * b[3];
                }
            }
        }
    }
    for (var i = 0u; i < TILE_ROWS; i++) {
        for (var c = 0u; c < TILE_COLUMNS32; c++) {
            for (var j = 0u; j < 8u; j++) {
                let n = n0 + 8u * c + j;
                if split < SPLIT && m0 + i < M && n < N4 {
                    let at = (split * M + m0 + i) * N4 + n;
                    product[at] = finish(at, n, acc[i][c][j]);
                }
            }
        }
    }
}
