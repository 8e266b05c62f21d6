// shared / linear
//   The linear index of an invocation or a workgroup in a grid that is folded into two dimensions, because devices
//   allow only 65,535 workgroups per dimension. There are COUNT work items; excess invocations return at once.

const COUNT = 1u;
const GROUPS_X = 65535u;
const WORKGROUP = 64u;

fn linear_group(group: vec3<u32>) -> u32 {
    return group.y * GROUPS_X + group.x;
}

fn linear_index(group: vec3<u32>, local: u32) -> u32 {
    return linear_group(group) * WORKGROUP + local;
}
