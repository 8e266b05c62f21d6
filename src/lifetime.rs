//! Memory reuse: objects that are never alive at the same time share a slot as large as the largest of them.
//!
//! A plan has two kinds of such objects. An activation is alive from the pass that writes it to the last pass that
//! reads it ([`crate::plan::Plan::share`]); a texture mirror from its copy to its last reader
//! ([`crate::gpu::Mirrors`]). Both are assigned to slots by the greedy-by-size strategy for shared objects of Pisarchyk
//! and Lee (*Efficient Memory Management for Deep Neural Net Inference*, 2020): the largest object first, each into the
//! smallest slot that is free during its whole lifetime, or else into a new one. So a slot never grows, and a small
//! object does not occupy a slot that a large one needs.
//!
//! A slot is a buffer or a texture of its own, not part of one large arena, because WebGPU does not allow a dispatch to
//! read one part of a buffer and write another.

use std::collections::BTreeMap;

/// When an object is alive, as inclusive ranges of positions in lists of passes or commands. It may be alive several
/// times in a list, and in several lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lifetime {
    spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    list: usize,
    first: usize,
    last: usize,
}

impl Lifetime {
    /// Starts a new span at position `at` of a list.
    pub fn begin(&mut self, list: usize, at: usize) {
        self.spans.push(Span { list, first: at, last: at });
    }

    /// Extends the last span to position `at`; starts a new one there if the last span is not in this list.
    pub fn reach(&mut self, list: usize, at: usize) {
        match self.spans.last_mut().filter(|span| span.list == list) {
            Some(span) => span.last = at,
            None => self.begin(list, at),
        }
    }

    /// Whether the object is alive anywhere in a list.
    pub fn knows(&self, list: usize) -> bool {
        self.spans.iter().any(|span| span.list == list)
    }

    /// Whether both objects are alive at some position. A span that ends where the other starts counts: one pass reads
    /// the first object and writes the second.
    pub fn meets(&self, other: &Lifetime) -> bool {
        let meet = |a: &Span, b: &Span| a.list == b.list && a.first <= b.last && b.first <= a.last;
        self.spans.iter().any(|own| other.spans.iter().any(|of_other| meet(own, of_other)))
    }

    /// The positions at which both objects are alive.
    fn in_common(&self, other: &Lifetime) -> Lifetime {
        let both = |(a, b): (&Span, &Span)| {
            let span = Span { list: a.list, first: a.first.max(b.first), last: a.last.min(b.last) };
            (a.list == b.list && span.first <= span.last).then_some(span)
        };
        let pairs = self.spans.iter().flat_map(|own| other.spans.iter().map(move |of_other| (own, of_other)));
        Lifetime { spans: pairs.filter_map(both).collect() }
    }
}

/// Assigns each object to a slot, given the sizes and the lifetimes. Slots are numbered in the order of their creation:
/// a slot is as large as the first object in it, and no larger than any earlier slot.
pub(crate) fn assign(sizes: &[usize], lives: &[Lifetime]) -> Vec<usize> {
    let mut by_size: Vec<usize> = (0..sizes.len()).collect();
    by_size.sort_by_key(|thing| std::cmp::Reverse(sizes[*thing]));
    let mut slots = Slots::default();
    let mut slot_of = vec![0; sizes.len()];
    for thing in by_size {
        slot_of[thing] = slots.put(&lives[thing]);
    }
    slot_of
}

/// Slots and when they are occupied, under a binary tree that finds a free one without looking at each.
///
/// In a long chain, nearly all activations that the backward pass reads again are alive in the middle. A linear search
/// over the slots would therefore take time quadratic in the length of the chain.
#[derive(Default)]
struct Slots {
    /// When each slot is occupied: disjoint spans, as a map from list and first position to last position.
    taken: Vec<BTreeMap<(usize, usize), usize>>,
    /// `shared[k][i]` is a time at which all of the `1 << k` slots from `i << k` on are occupied: the intersection of
    /// the lifetimes of the first objects in them. The last row has one entry.
    shared: Vec<Vec<Lifetime>>,
}

impl Slots {
    /// Puts an object with this lifetime into the last slot that is free throughout, or else into a new one. Returns
    /// the slot.
    fn put(&mut self, life: &Lifetime) -> usize {
        let root = self.shared.len().checked_sub(1);
        let slot = root.and_then(|level| self.last_free(level, 0, life)).unwrap_or_else(|| self.add(life));
        for span in &life.spans {
            take(&mut self.taken[slot], *span);
        }
        slot
    }

    /// The last free slot among those that an entry of `shared` covers.
    fn last_free(&self, level: usize, index: usize, life: &Lifetime) -> Option<usize> {
        if self.shared[level].get(index)?.meets(life) {
            return None;
        }
        let Some(below) = level.checked_sub(1) else {
            let is_free = life.spans.iter().all(|span| overlap(&self.taken[index], *span).is_none());
            return is_free.then_some(index);
        };
        self.last_free(below, 2 * index + 1, life).or_else(|| self.last_free(below, 2 * index, life))
    }

    /// Adds a slot whose first object has this lifetime.
    fn add(&mut self, life: &Lifetime) -> usize {
        let slot = self.taken.len();
        self.taken.push(BTreeMap::new());
        match self.shared.last() {
            None => self.shared.push(Vec::new()),
            // The tree is full: it gets a new root above the old one.
            Some(root) if slot.is_power_of_two() => self.shared.push(root.clone()),
            Some(_) => {}
        }
        for (level, row) in self.shared.iter_mut().enumerate() {
            match row.get_mut(slot >> level) {
                Some(shared) => *shared = shared.in_common(life),
                None => row.push(life.clone()),
            }
        }
        slot
    }
}

/// The key of a span among these that overlaps `span`, if there is one.
fn overlap(taken: &BTreeMap<(usize, usize), usize>, span: Span) -> Option<(usize, usize)> {
    let (start, last) = taken.range(..=(span.list, span.last)).next_back()?;
    (start.0 == span.list && *last >= span.first).then_some(*start)
}

/// Adds a span. The spans of one object may overlap; those are merged.
fn take(taken: &mut BTreeMap<(usize, usize), usize>, mut span: Span) {
    while let Some(start) = overlap(taken, span) {
        span.first = span.first.min(start.1);
        span.last = taken.remove(&start).map_or(span.last, |last| span.last.max(last));
    }
    taken.insert((span.list, span.first), span.last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alive(spans: &[(usize, usize, usize)]) -> Lifetime {
        Lifetime { spans: spans.iter().map(|&(list, first, last)| Span { list, first, last }).collect() }
    }

    fn slots(things: &[(usize, Lifetime)]) -> Vec<usize> {
        let (sizes, lives): (Vec<usize>, Vec<Lifetime>) = things.iter().cloned().unzip();
        assign(&sizes, &lives)
    }

    /// The rule by linear search: tries every slot, from the last to the first.
    fn by_linear_search(things: &[(usize, Lifetime)]) -> Vec<usize> {
        let mut by_size: Vec<usize> = (0..things.len()).collect();
        by_size.sort_by_key(|thing| std::cmp::Reverse(things[*thing].0));
        let mut slots: Vec<Vec<usize>> = Vec::new();
        let mut slot_of = vec![0; things.len()];
        for thing in by_size {
            let free = |held: &Vec<usize>| held.iter().all(|other| !things[thing].1.meets(&things[*other].1));
            let slot = slots.iter().rposition(free).unwrap_or(slots.len());
            slots.resize(slots.len().max(slot + 1), Vec::new());
            slots[slot].push(thing);
            slot_of[thing] = slot;
        }
        slot_of
    }

    #[test]
    fn lifetimes_meet_where_they_share_a_position() {
        let life = alive(&[(0, 2, 5)]);
        for (other, meets) in [((0, 0, 1), false), ((0, 0, 2), true), ((0, 5, 9), true), ((0, 6, 9), false)] {
            assert_eq!(life.meets(&alive(&[other])), meets, "{other:?}");
            assert_eq!(alive(&[other]).meets(&life), meets, "{other:?}");
        }
        assert!(!life.meets(&alive(&[(1, 2, 5)])), "another list");
        assert!(alive(&[(0, 2, 5), (1, 0, 0)]).meets(&alive(&[(0, 7, 9), (1, 0, 3)])), "in one of the lists");
        assert!(!life.meets(&Lifetime::default()), "never alive");
    }

    #[test]
    fn a_span_extends_until_the_next_begins() {
        let mut life = Lifetime::default();
        life.begin(0, 1);
        life.reach(0, 3);
        life.begin(0, 6);
        life.reach(0, 7);
        life.reach(1, 2);
        assert_eq!(life, alive(&[(0, 1, 3), (0, 6, 7), (1, 2, 2)]));
        assert!(life.knows(0) && life.knows(1) && !life.knows(2));
    }

    #[test]
    fn slots_are_reused_as_soon_as_they_are_free() {
        // A chain: each object is read where the next is written, so two slots suffice.
        let chain: Vec<_> = (0..5).map(|at| (10 - at, alive(&[(0, at, at + 1)]))).collect();
        assert_eq!(slots(&chain), [0, 1, 0, 1, 0]);
        // An object that outlives all others keeps its slot to itself.
        let chain = [(1, alive(&[(0, 0, 9)])), (5, alive(&[(0, 1, 2)])), (4, alive(&[(0, 3, 4)]))];
        assert_eq!(slots(&chain), [1, 0, 0]);
        // Alive before and after the other, but not with it.
        assert_eq!(slots(&[(3, alive(&[(0, 0, 1), (0, 6, 7)])), (2, alive(&[(0, 2, 5)]))]), [0, 0]);
        // Disjoint in one list, overlapping in the other.
        let twice = [(2, alive(&[(0, 0, 1), (1, 0, 2)])), (1, alive(&[(0, 2, 3), (1, 1, 2)]))];
        assert_eq!(slots(&twice), [0, 1]);
    }

    #[test]
    fn a_small_object_takes_the_smallest_slot() {
        let things = [(9, alive(&[(0, 0, 1)])), (5, alive(&[(0, 0, 1)])), (4, alive(&[(0, 2, 2)]))];
        assert_eq!(slots(&things), [0, 1, 1]);
    }

    proptest! {
        /// No two objects that are alive at once share a slot; slots are ordered by size; and all slots together take
        /// no more than a separate slot for each object would.
        #[test]
        fn objects_alive_at_once_have_different_slots(
            things in prop::collection::vec(
                (0..50usize, prop::collection::vec((0..3usize, 0..20usize, 0..6usize), 0..4)),
                0..30,
            )
        ) {
            let things: Vec<(usize, Lifetime)> = things.into_iter().map(|(size, spans)| {
                let spans: Vec<_> = spans.into_iter().map(|(list, first, len)| (list, first, first + len)).collect();
                (size, alive(&spans))
            }).collect();
            let slots = slots(&things);
            prop_assert_eq!(&slots, &by_linear_search(&things));
            for at in 0..60 {
                let (list, at) = (at / 20, at % 20);
                let here = |(_, life): &(usize, Lifetime)| life.meets(&alive(&[(list, at, at)]));
                let mut taken: Vec<usize> = things.iter().zip(&slots).filter(|(t, _)| here(t)).map(|(_, s)| *s).collect();
                let count = taken.len();
                taken.sort();
                taken.dedup();
                prop_assert_eq!(taken.len(), count, "at {} of list {}", at, list);
            }
            let count = slots.iter().max().map_or(0, |last| last + 1);
            let largest = |slot| things.iter().zip(&slots).filter(|(_, s)| **s == slot).map(|(t, _)| t.0).max();
            let sizes: Vec<usize> = (0..count).map(|slot| largest(slot).unwrap()).collect();
            prop_assert!(sizes.is_sorted_by(|a, b| a >= b), "{:?}", sizes);
            prop_assert!(sizes.iter().sum::<usize>() <= things.iter().map(|t| t.0).sum());
        }
    }
}
