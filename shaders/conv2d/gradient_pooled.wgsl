// conv2d / gradient_pooled
//   dy at the PLACES places of a block, where pooling behind the convolution took the maximum or minimum of every 2 x 2
//   places: f'(pooled) arrived at the place that `chosen` names, otherwise 0. PLACES is even, so a block consists of whole
//   windows; places that no window covers have the gradient 0.
//   pooled, arrived [N,P/2,Q/2,K]   chosen as pooled, four in a word
// with: activation/identity | relu | sigmoid | tanh

@group(0) @binding(1) var<storage, read> arrived: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> pooled: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> chosen: array<u32>;

// pooled = KEPT times what is stored, if dropout followed and kept the element. If it did not, its gradient is 0.
const KEPT = 1f;

const POOLED_HEIGHT = OUT_HEIGHT / 2u;
const POOLED_WIDTH = OUT_WIDTH / 2u;

fn block_gradient(np: u32, q0: u32, k: u32) -> array<array<vec4<f32>, VECTORS>, PLACES> {
    var d: array<array<vec4<f32>, VECTORS>, PLACES>;
    let p = np % OUT_HEIGHT;
    for (var window = 0u; window < PLACES / 2u; window++) {
        let q = q0 / 2u + window;
        if p / 2u < POOLED_HEIGHT && q < POOLED_WIDTH {
            let at = ((np / OUT_HEIGHT * POOLED_HEIGHT + p / 2u) * POOLED_WIDTH + q) * FILTERS4 + k;
            let gradient = through_activation(arrived[at], KEPT * pooled[at]);
            let place = (vec4<u32>(chosen[at]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
            for (var v = 0u; v < 2u; v++) {
                let here = place == vec4<u32>(p % 2u * 2u + v);
                d[2u * window + v][0] = select(vec4<f32>(0.0), gradient, here);
            }
        }
    }
    return d;
}
