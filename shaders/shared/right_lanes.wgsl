// shared / right_lanes
//   The right operand where all lanes of a subgroup need the same elements: each lane loads a different part, and
//   subgroupBroadcast distributes the parts. On lavapipe a broadcast is one cheap shuffle, while a load costs as much
//   as fifty. Needs the feature `subgroup` and subgroups of exactly LANES = 8 or 16.
// with: shared/right_buffer | right_texture

const LANES = 8u;
const BROAD4 = 2u; // columns that are loaded at once, in vec4: 1, 2, 4 or 8
const LOADS = (4u * BROAD4 + LANES - 1u) / LANES;

// The value of lane `l`. WGSL requires a constant as the lane of a broadcast. After the surrounding loops are unrolled,
// `l` is a constant, and the switch disappears.
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

// ANCHOR: dealt
// Terms k to k + 3 of BROAD4 vec4 of columns from n4 on, distributed among the lanes.
fn right_dealt(k: u32, n4: u32, lane: u32) -> array<vec4<f32>, LOADS> {
    var dealt: array<vec4<f32>, LOADS>;
    for (var q = 0u; q < LOADS; q++) {
        let part = LANES * q + lane;
        if RIGHT_ALONG_K {
            dealt[q] = load_right(row_right(k / 4u) + col_right(min(4u * n4 + part, 4u * N4 - 1u)));
        } else {
            let term = min(k + part / BROAD4, K - 1u);
            dealt[q] = load_right(row_right(term) + col_right(min(n4 + part % BROAD4, N4 - 1u)));
        }
    }
    return dealt;
}
// ANCHOR_END: dealt

// The j-th vec4 of the columns, in every lane: [q] is term k + q.
fn right_column(dealt: ptr<function, array<vec4<f32>, LOADS>>, j: u32) -> mat4x4<f32> {
    if RIGHT_ALONG_K {
        return transpose(mat4x4<f32>(
            right_part(dealt, 4u * j),
            right_part(dealt, 4u * j + 1u),
            right_part(dealt, 4u * j + 2u),
            right_part(dealt, 4u * j + 3u),
        ));
    }
    return mat4x4<f32>(
        right_part(dealt, j),
        right_part(dealt, BROAD4 + j),
        right_part(dealt, 2u * BROAD4 + j),
        right_part(dealt, 3u * BROAD4 + j),
    );
}

fn right_part(dealt: ptr<function, array<vec4<f32>, LOADS>>, part: u32) -> vec4<f32> {
    return of_lane((*dealt)[part / LANES], part % LANES);
}
