//! Tries different assumptions about ink and paper, and chooses the cleanest character.
//!
//! It is not known beforehand whether ink is dark or light, which colour separates it from the paper, how the light
//! falls, and how faint ink may be compared with the strongest. So all combinations are tried, simple ones first, and
//! the one with the cleanest character is chosen: alone in the picture, away from its edges, with strokes that end
//! sharply on every side and are thinner than the surrounding paper. If there is a second one that is complete and
//! about as large, the picture is rejected.

use super::background::surface;
use super::candidate::{Found, candidate};
use super::contrast::Plane;
use super::grid::{Grid, quantile};

/// Ink must differ from the background by this much (of 1) to count as ink.
pub const LEAST_CONTRAST: f32 = 0.1;
/// Cells with at least this fraction of the typical strength of the ink count as ink.
const LEVELS: [f32; 2] = [0.3, 0.5];
/// How the paper is estimated, and a factor for the score: as a smooth surface, or by an opening over this fraction of
/// the longer side, which follows shadows but may take the paper within a digit for light ink.
const PAPERS: [(Option<f32>, f64); 3] = [(None, 1.0), (Some(0.33), 0.85), (Some(0.17), 0.75)];
/// After a character with this score, no more complicated assumption is tried.
const CLEAN: f64 = 0.6;
/// A character has at least this fraction of the energy of all ink.
const LEAST_SHARE: f64 = 0.55;
/// Least score of a character.
const LEAST_SCORE: f64 = 0.05;

/// The best character in any of the planes, and the plane's index; or the reason why there is none.
pub fn search(planes: &[Plane]) -> Result<(usize, Found), String> {
    let range = |values: &Grid<f32>| quantile(values.cells.clone(), 1.0) - quantile(values.cells.clone(), 0.0);
    let strongest = planes.iter().map(|plane| range(&plane.values)).fold(0.0, f32::max);
    if strongest < LEAST_CONTRAST {
        return Err(format!(
            "shows nothing: ink must differ from the background by {:.0} of 255, but differs by {:.0}",
            LEAST_CONTRAST * 255.0,
            strongest * 255.0
        ));
    }
    let mut refused = None;
    for (index, plane) in planes.iter().enumerate() {
        let mut found: Vec<Found> = Vec::new();
        for (opening, belief) in PAPERS {
            for sign in [-1.0, 1.0] {
                let values = plane.values.map(|value| sign * value);
                let side = opening.map(|part| ((values.longer() as f32 * part) as usize).max(3));
                // Inside strokes that are wider than it, an opening takes ink for paper.
                let is_wider = |found: &Found| side.is_some_and(|side| found.thickness > side as f32);
                if found.iter().any(|found| found.sign == sign && found.is_whole && is_wider(found)) {
                    continue;
                }
                let ink = ink(&values, plane.noise, side);
                let candidates = LEVELS.iter().filter_map(|level| candidate(&values, &ink, plane.noise, *level));
                found.extend(candidates.map(|found| Found { sign, score: found.score * belief, ..found }));
            }
            if found.iter().any(|found| found.score > CLEAN) {
                break;
            }
        }
        match best(found) {
            Some(best) if best.share >= LEAST_SHARE && !best.has_rival && best.score >= LEAST_SCORE => {
                return Ok((index, best));
            }
            Some(best) => refused = refused.or(Some(best)),
            None => {}
        }
    }
    Err(match refused {
        Some(best) => format!(
            "shows several things, and the clearest is {:.0} % of the ink: crop the picture to one character",
            best.share * 100.0
        ),
        None => "shows nothing that looks like strokes on paper: crop the picture to one character".into(),
    })
}

/// The candidate with the highest score. A candidate with much less ink than another is probably a part of it, or the
/// paper between its strokes.
fn best(mut found: Vec<Found>) -> Option<Found> {
    let most = found.iter().map(|found| found.energy).fold(0.0, f64::max);
    found.iter_mut().for_each(|found| found.score *= (found.energy / most).powf(0.25));
    found.into_iter().max_by(|a, b| a.score.total_cmp(&b.score))
}

/// How far each cell lies from the paper, on the side of the ink, where `values` are higher; noise is subtracted.
/// `opening` is the side of the opening.
fn ink(values: &Grid<f32>, noise: f32, opening: Option<usize>) -> Grid<f32> {
    let paper = match opening {
        None => surface(values, noise),
        Some(side) => values.opened(side),
    };
    let ink = values.zip(&paper, |value, paper| value - paper);
    // An opening follows the lower side of the noise.
    let bias = opening.map_or(0.0, |_| quantile(ink.cells.clone(), 0.5).min(3.0 * noise));
    ink.map(|ink| (ink - bias - 1.5 * noise).max(0.0))
}
