// conv2d / places_pooled
//   The place of the window that a row of the product stands for, if every four rows are the places of a pooling window
//   of 2 x 2: m = 4 (n,p,q) + 2u + v stands for the place (n, 2p+u, 2q+v). The last row or column of places may be left
//   out.
// with: shared/window

const POOLED_HEIGHT = OUT_HEIGHT / 2u;
const POOLED_WIDTH = OUT_WIDTH / 2u;

fn place_of(m: u32) -> u32 {
    let pooled = m / 4u;
    let p = pooled / POOLED_WIDTH % POOLED_HEIGHT * 2u + m / 2u % 2u;
    let q = pooled % POOLED_WIDTH * 2u + m % 2u;
    return (pooled / (POOLED_WIDTH * POOLED_HEIGHT) * OUT_HEIGHT + p) * OUT_WIDTH + q;
}
