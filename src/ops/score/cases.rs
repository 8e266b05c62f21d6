use super::Score;
use crate::ops::{Op, Step};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, Values, Verify, dot_bound, integers, random};

/// One row, primes, one below, exactly and one above the size of a workgroup.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let op = |batch| Box::new(Score { batch, slots: 5, images: batch + 5 }) as Box<dyn Op>;
    [65, 1000, 1, 2, 7, 63, 64, 127, 4099].into_iter().map(op).collect()
}

/// A random batch in a data set of random size.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let batch = draw.size(300);
    vec![Box::new(Score { batch, slots: draw.size(12), images: batch + draw.below(40) })]
}

impl Score {
    /// A case whose outputs start with values such as an earlier step may have left: the pass must only change its own
    /// elements.
    pub fn case(&self, loss: &[f32], prediction: &[u32], targets: &[u32], step: Step) -> Case {
        let given = vec![
            ("loss", Values::Real(loss.to_vec())),
            ("prediction", Values::Int(prediction.to_vec())),
            ("targets", Values::Int(targets.to_vec())),
            ("losses", Values::Real(integers(self.slots, 9, 8))),
            ("correct", Values::Int(vec![777; self.slots])),
            ("predictions", Values::Int(vec![12_345; self.images])),
        ];
        Case::new(*self, given).with_step(step)
    }
}

impl Verify for Score {
    /// Full and padded batches anywhere in the data set; predictions and targets agree in some rows.
    fn checks(&self) -> Vec<Check> {
        let Score { batch, slots, images } = *self;
        let class = |seed| integers(batch, 2, seed).iter().map(|v| (v + 2.0) as u32).collect::<Vec<u32>>();
        let (prediction, targets) = (class(1), class(2));
        let whole = integers(batch, 50, 4);
        let random: Vec<f32> = random(batch, 6).iter().map(|v| v + 1.0).collect();
        let mut checks = Vec::new();
        for (count, slot) in [(batch, 0), (usize::MAX, 4), (batch / 2, 3), (batch - 1, 1), (0, 2)] {
            let slot = slot.min(slots - 1);
            let first = 3.min(images - batch) as u32;
            let step = Step { first, count: count.min(u32::MAX as usize) as u32, slot: slot as u32, ..Step::default() };
            let case = |loss: &[f32]| self.case(loss, &prediction, &targets, step);
            let sum: f64 = random[..count.min(batch)].iter().map(|v| f64::from(*v)).sum();
            checks.push(Check::exact("whole", case(&whole)));
            checks.push(Check::within("random", case(&random), |name, values| {
                let mut bound = vec![0.0; values.len()];
                if name == "losses" {
                    bound[slot] = dot_bound(count.min(batch), &[sum])[0];
                }
                bound
            }));
        }
        checks
    }
}
