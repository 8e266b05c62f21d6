// pool2d / backward
//   dx[n,h,w,c] = f'(x[n,h,w,c]) times the gradient from the only window that covers h,w:
//     average    dy / (R S)
//     L2         dy x / y, or 0 if y = 0
//   x, dx [N,H,W,C]   y, dy [N,P,Q,C];   C is a multiple of 4; stride >= kernel, so that windows do not overlap
//   The image is divided into cells of stride by stride pixels, each with a window in its top left corner; the last
//   cells may be smaller and have no window. An invocation computes four channels of a cell, so that every dx is
//   written once.
// with: pool2d/kind, shared/linear, activation/identity | relu | sigmoid | tanh

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

// y = KEPT times what is stored, if dropout followed and kept the element. If it did not, dy is 0.
const KEPT = 1f;

const CHANNELS4 = CHANNELS / 4u;
const CELL_ROWS = (HEIGHT + STRIDE_H - 1u) / STRIDE_H;
const CELL_COLUMNS = (WIDTH + STRIDE_W - 1u) / STRIDE_W;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let c = i % CHANNELS4;
    let q = i / CHANNELS4 % CELL_COLUMNS;
    let p = i / (CHANNELS4 * CELL_COLUMNS) % CELL_ROWS;
    let n = i / (CHANNELS4 * CELL_COLUMNS * CELL_ROWS);
    let corner = ((n * HEIGHT + p * STRIDE_H) * WIDTH + q * STRIDE_W) * CHANNELS4 + c;

    // In a cell without a window these remain zero, and so does dx.
    var gradient = vec4<f32>(0.0);
    var norm = vec4<f32>(0.0);
    if p < OUT_HEIGHT && q < OUT_WIDTH {
        let place = ((n * OUT_HEIGHT + p) * OUT_WIDTH + q) * CHANNELS4 + c;
        gradient = dy[place];
        if KIND == AVERAGE {
            gradient = gradient * SHARE;
        } else {
            norm = KEPT * y[place];
        }
    }

    for (var r = 0u; r < STRIDE_H; r++) {
        for (var s = 0u; s < STRIDE_W; s++) {
            if p * STRIDE_H + r < HEIGHT && q * STRIDE_W + s < WIDTH {
                let at = corner + (r * WIDTH + s) * CHANNELS4;
                var d = vec4<f32>(0.0);
                if r < KERNEL_H && s < KERNEL_W {
                    if KIND == AVERAGE {
                        d = through_activation(gradient, x[at]);
                    } else {
                        d = through_activation(through_norm(gradient, x[at], norm), x[at]);
                    }
                }
                dx[at] = d;
            }
        }
    }
}
