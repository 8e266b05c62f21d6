// shared / linear
//   One number for an invocation or a workgroup of a grid that is folded into two dimensions, because a device takes at
//   most 65,535 workgroups in each. Work items are counted by COUNT; surplus invocations return at once.

const COUNT = 1u;
const GROUPS_X = 65535u;
const WORKGROUP = 64u;

fn linear_group(group: vec3<u32>) -> u32 {
    return group.y * GROUPS_X + group.x;
}

fn linear_index(group: vec3<u32>, local: u32) -> u32 {
    return linear_group(group) * WORKGROUP + local;
}
