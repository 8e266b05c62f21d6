//! What all operations are verified on, room by room.

use super::{Op, ROOMS, Room};
use crate::verify::draw::Draw;

/// Every pass at shapes that kernels are likely to get wrong; of each pass the most telling first.
pub fn edge_cases() -> Vec<Box<dyn Op>> {
    ROOMS.iter().flat_map(|room| (room.edge_cases)()).collect()
}

impl Room {
    /// The passes that the room draws by a seed and a number.
    fn drawn_at(&self, seed: u64, number: usize) -> Vec<Box<dyn Op>> {
        (self.drawn)(&mut Draw::new(seed, self.name, number))
    }
}

/// Passes at shapes drawn at random by a seed, about `count` of them, each with its number among those of its room: the
/// same seed and number make the same pass, however many are drawn. See [`crate::verify::draw`].
pub fn drawn(seed: u64, count: usize) -> impl Iterator<Item = (usize, Box<dyn Op>)> {
    // In one round every room draws as often as its share says.
    let a_round: usize = ROOMS.iter().map(|room| room.share * room.drawn_at(seed, 0).len()).sum();
    let rounds = count.div_ceil(a_round);
    let numbers = move |room: &'static Room| (0..rounds * room.share).map(move |number| (room, number));
    let passes =
        move |(room, number): (&Room, usize)| room.drawn_at(seed, number).into_iter().map(move |op| (number, op));
    ROOMS.iter().flat_map(numbers).flat_map(passes)
}

/// The passes of number `number` of every room.
pub(crate) fn drawn_at(seed: u64, number: usize) -> impl Iterator<Item = Box<dyn Op>> {
    ROOMS.iter().flat_map(move |room| room.drawn_at(seed, number))
}
