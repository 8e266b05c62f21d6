use super::{Activation, Backward, Forward};
use crate::ops::Op;
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, U, Verify, activation_error, random};

const ALL: [Activation; 4] = [Activation::Tanh, Activation::Sigmoid, Activation::Relu, Activation::Identity];

/// One above, one below and exactly the size of a workgroup, which is 64 vec4; a single element; primes.
const LENGTHS: [usize; 6] = [257, 255, 256, 1, 3, 1009];

/// Every activation at every length.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let mut ops: Vec<Box<dyn Op>> = Vec::new();
    for len in LENGTHS {
        for activation in ALL {
            ops.push(Box::new(Forward { activation, len }));
            ops.push(Box::new(Backward { activation, len }));
        }
    }
    ops
}

/// Both passes at a random length.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let (activation, len) = (draw.one_of(&ALL), draw.size(3000));
    vec![Box::new(Forward { activation, len }), Box::new(Backward { activation, len })]
}

impl Verify for Forward {
    fn checks(&self) -> Vec<Check> {
        let case = |x: Vec<f32>| Case::new(*self, vec![("x", x.into())]);
        let x = random(self.len, 1).iter().map(|v| v * 8.0).collect();
        let own = activation_error(self.activation);
        let mut checks = vec![Check::within("random", case(x), |_, y| vec![own; y.len()])];
        if matches!(self.activation, Activation::Sigmoid | Activation::Tanh) {
            // The limits 0 or -1 and 1, within one unit: nothing overflows to infinity or NaN.
            let x = [-1e30, -100.0, 100.0, 1e30f32].into_iter().cycle().take(self.len).collect();
            checks.push(Check::within("saturated", case(x), |_, y| vec![U; y.len()]));
        }
        checks
    }
}

impl Verify for Backward {
    fn checks(&self) -> Vec<Check> {
        let y: Vec<f32> = random(self.len, 2).iter().map(|v| if v.abs() < 0.1 { 0.0 } else { *v }).collect();
        let case = Case::new(*self, vec![("y", y.into()), ("dy", random(self.len, 3).into())]);
        // Three roundings of products and one of 1 - y, each of a term of at most 2.
        vec![Check::within("random", case, |_, dx| vec![4.0 * U; dx.len()])]
    }
}
