//! Decides which connected pieces of ink form the character, and how certain that is.

use super::components::{Component, components};
use super::grid::{Grid, quantile};
use super::lines::without_lines;
use super::search::LEAST_CONTRAST;

/// A piece along the edge is a frame, a dark corner or a shadow if at least this fraction of its outline lies on the
/// edge.
const EDGE_SHARE: f64 = 0.8;
/// A frame reaches into the picture by at most this fraction of its shorter side.
const FRAME: f64 = 0.22;
/// A piece whose largest inscribed disc exceeds this fraction of its length is not a stroke but a blot or a hole.
const BLOT: f32 = 0.75;
/// A piece whose outline is at least this many times its length is not compact: it may be a character of bold strokes.
/// A solid square has 4.
const CUT: f32 = 4.5;
/// Pieces with less than this fraction of the strongest piece's energy are dirt.
const DIRT: f64 = 0.015;
/// A piece that belongs to the strongest is at most this fraction of its length away.
const NEAR: f64 = 0.25;
/// The same for a piece with more than a quarter of its energy, which may be a separate character.
const NEAR_LARGE: f64 = 0.14;
/// At a sharp outline, values change by at least this fraction of the ink's strength there.
const SHARP: f32 = 0.6;
/// At least this fraction of a complete character's outline is sharp.
const WHOLE: f64 = 0.97;

/// A character that was found.
pub struct Found {
    /// Its cells.
    pub mask: Grid<bool>,
    /// 1 where ink is brighter than paper, -1 where it is darker.
    pub sign: f32,
    /// Diameter of the largest disc within its strokes, in cells.
    pub thickness: f32,
    /// Left, top, right and bottom of its cells.
    pub bounds: [usize; 4],
    /// Sum of its squared ink.
    pub energy: f64,
    /// Its fraction of the energy of all ink.
    pub share: f64,
    /// Whether it ends sharply on all sides and does not touch the edges of the picture.
    pub is_whole: bool,
    /// Whether another, similarly large piece also looks like a complete character.
    pub has_rival: bool,
    /// From 0 to 1: how much it looks like a single character on paper.
    pub score: f64,
}

/// Finds the character among the cells with at least `level` times the typical strength of the ink. Until one is found,
/// pieces that cannot be part of a character are removed, since they may be much stronger than the character.
///
/// `values` are what the ink was computed from; larger values are more ink.
pub fn candidate(values: &Grid<f32>, ink: &Grid<f32>, noise: f32, level: f32) -> Option<Found> {
    let mut ink = ink.clone();
    let mut regions = 0.0;
    let floor = (2.5 * noise).max(0.35 * LEAST_CONTRAST);
    for _ in 0..4 {
        let strength = strength(&ink, floor);
        if strength < LEAST_CONTRAST.max(4.0 * noise) {
            return None;
        }
        let mask = without_lines(&ink.map(|ink| ink > floor.max(level * strength)), &ink);
        let parts = components(&mask, &ink);
        let (junk, strokes): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| is_junk(part, &ink));
        regions += junk.iter().filter(|part| is_region(part, &ink)).map(|part| part.energy).sum::<f64>();
        if let Some(found) = assembled(strokes, &junk, regions, &ink) {
            let sharpness = sharpness(&found, values, &ink);
            let is_whole = found.is_whole && sharpness >= WHOLE;
            return Some(Found { is_whole, score: found.score * sharpness.powi(4), ..found });
        }
        if junk.is_empty() {
            return None;
        }
        let mut aside = ink.map(|_| false);
        junk.iter().flat_map(|part| &part.cells).for_each(|at| aside.cells[*at] = true);
        ink = ink.zip(&aside.grown(3), |ink, aside| if aside { 0.0 } else { ink });
    }
    None
}

/// The typical strength of the ink: half of its energy lies below. Large stains are faint and specks are small, so
/// neither contributes much energy.
fn strength(ink: &Grid<f32>, floor: f32) -> f32 {
    let mut strengths: Vec<f32> = ink.cells.iter().copied().filter(|ink| *ink > floor).collect();
    strengths.sort_unstable_by(f32::total_cmp);
    let half = 0.5 * strengths.iter().map(|ink| f64::from(ink * ink)).sum::<f64>();
    let mut below = 0.0;
    let middle = strengths.iter().find(|ink| {
        below += f64::from(*ink * *ink);
        below >= half
    });
    middle.copied().unwrap_or(0.0)
}

fn is_frame(part: &Component, ink: &Grid<f32>) -> bool {
    part.border_share() >= EDGE_SHARE && part.reach as f64 <= FRAME * ink.shorter() as f64
}

/// Whether a piece is not a stroke: a frame, a region along the edge, or a blot.
fn is_junk(part: &Component, ink: &Grid<f32>) -> bool {
    let wide = part.thickness > 0.25 * part.longer() as f32;
    let outline = part.outline as f32 / part.longer() as f32;
    let blot = part.thickness > BLOT * part.longer() as f32 && outline < CUT && part.longer() > 6;
    is_frame(part, ink) || (part.border_share() >= EDGE_SHARE && wide) || blot
}

/// Whether a piece that is not a stroke is large enough to hide a part of the character.
fn is_region(part: &Component, ink: &Grid<f32>) -> bool {
    !is_frame(part, ink) && part.longer() * 5 > ink.longer()
}

/// The strongest stroke together with nearby pieces that belong to it.
fn assembled(mut strokes: Vec<Component>, junk: &[Component], regions: f64, ink: &Grid<f32>) -> Option<Found> {
    let strongest = (0..strokes.len()).max_by(|a, b| strokes[*a].energy.total_cmp(&strokes[*b].energy))?;
    let mut members = vec![strokes.swap_remove(strongest)];
    loop {
        let (near, apart): (Vec<_>, Vec<_>) = strokes.into_iter().partition(|part| belongs(part, &members));
        strokes = apart;
        if near.is_empty() {
            break;
        }
        members.extend(near);
    }

    let has_rival = strokes.iter().any(|part| rivals(part, &members));
    let energy: f64 = members.iter().map(|part| part.energy).sum();
    let others = regions + strokes.iter().map(|part| part.energy).sum::<f64>();
    let share = energy / (energy + others);
    let thickness = members.iter().map(|part| part.thickness).fold(0.0, f32::max);
    let contact: usize = members.iter().flat_map(|part| part.contact).sum();
    let inside = 1.0 - contact as f64 / (2 * (ink.width + ink.height)) as f64;
    let mut mask = ink.map(|_| false);
    members.iter().flat_map(|part| &part.cells).for_each(|at| mask.cells[*at] = true);
    let mut paper = mask.map(|set| !set);
    junk.iter().flat_map(|part| &part.cells).for_each(|at| paper.cells[*at] = false);
    let room = 2.0 * quantile(paper.depths().cells, 1.0);
    let thin = f64::from(room / (room + thickness));
    Some(Found {
        mask,
        sign: 1.0,
        thickness,
        bounds: [
            members.iter().map(|part| part.left).min()?,
            members.iter().map(|part| part.top).min()?,
            members.iter().map(|part| part.right).max()?,
            members.iter().map(|part| part.bottom).max()?,
        ],
        energy,
        share,
        is_whole: contact == 0,
        has_rival,
        score: share * thin * inside.max(0.0).powf(1.5),
    })
}

/// Whether a piece that does not belong to the members is a separate character.
fn rivals(part: &Component, members: &[Component]) -> bool {
    let thickest = members.iter().map(|member| member.thickness).fold(0.0, f32::max);
    let longest = members.iter().map(Component::longer).max().unwrap_or(0);
    part.contact == [0; 4] && part.longer() * 2 >= longest && (0.4..=2.5).contains(&(part.thickness / thickest))
}

/// The fraction of a character's outline that is sharp: where values change about as much as the ink is strong.
///
/// Ink ends sharply on every side. A change of light, or the border between paper and table, has a step on one side
/// only; on the other side the estimated paper drifts away from the values.
fn sharpness(found: &Found, values: &Grid<f32>, ink: &Grid<f32>) -> f64 {
    let mask = &found.mask;
    let reach = ((found.thickness / 2.0) as usize).clamp(2, 8);
    let (mut sharp, mut all) = (0_usize, 0_usize);
    for (x, y, _) in mask.each().filter(|(x, y, set)| *set && mask.is_outline(*x, *y)) {
        let (mut least, mut most, mut strongest) = (f32::INFINITY, f32::NEG_INFINITY, 0.0_f32);
        for row in y.saturating_sub(reach)..(y + reach + 1).min(mask.height) {
            for column in x.saturating_sub(reach)..(x + reach + 1).min(mask.width) {
                let value = values[(column, row)];
                (least, most) = (least.min(value), most.max(value));
                strongest = strongest.max(ink[(column, row)]);
            }
        }
        all += 1;
        sharp += usize::from(most - least >= SHARP * strongest);
    }
    if all == 0 { 0.0 } else { sharp as f64 / all as f64 }
}

/// Whether this is another stroke, or a piece of a broken one: close enough, not dirt, and of similar thickness.
fn belongs(part: &Component, members: &[Component]) -> bool {
    let main = &members[0];
    let near = if part.energy > 0.25 * main.energy { NEAR_LARGE } else { NEAR };
    // The gap between the parts of a broken stroke is smaller than its thickness.
    let reach = (near * main.longer() as f64).max(f64::from(main.thickness)).max(2.0);
    part.energy >= DIRT * main.energy
        && (part.thickness >= 0.5 * main.thickness || part.energy > 0.1 * main.energy)
        && members.iter().any(|member| member.gap_to(part) as f64 <= reach)
}
