// conv2d / places_each
//   The place of the window that a row of the product stands for, if rows are in the order of y.

fn place_of(m: u32) -> u32 {
    return m;
}
