//! Measures how long ranks take to add up gradients, which is what a step on several devices costs beside its work.
//!
//! ```sh
//! cargo build --release --features mpi --example exchange
//! mpirun -n 2 target/release/examples/exchange 1200000
//! ```

use shadegrad::ranks::{Collective, Mpi};
use std::time::Instant;

/// Number of sums that are timed, after some that are not.
const SUMS: usize = 100;

fn main() -> shadegrad::Result<()> {
    let ranks = Mpi::start()?;
    for argument in std::env::args().skip(1) {
        let len =
            argument.parse().map_err(|_| shadegrad::Error::Usage(format!("expected a number, got {argument}")))?;
        let mut values = vec![1.0; len];
        let mut seconds = Vec::new();
        for sum in 0..SUMS + 10 {
            values.fill(1.0);
            // All ranks begin together.
            ranks.gather(&[])?;
            let start = Instant::now();
            ranks.sum(&mut values)?;
            if sum >= 10 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
        assert!(values.iter().all(|value| *value == ranks.ranks() as f32), "a sum is wrong");
        seconds.sort_by(f64::total_cmp);
        if ranks.rank() == 0 {
            let [least, median] = [0, SUMS / 2].map(|index| seconds[index] * 1e3);
            println!("{} ranks, {len} numbers: median {median:.3} ms, least {least:.3} ms", ranks.ranks());
        }
    }
    Ok(())
}
