//! Which of a model's outputs a decoder reads: those the manifest names, or those whose shape fits.

use std::fmt::{self, Display, Formatter};

use super::{Decode, MAX_OUTPUTS, Wish, expected};

/// One output of a model, as its first inference gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    /// What it holds, in words, such as `float32`.
    pub holds: String,
    /// Empty for what cannot be read as numbers with a point.
    pub shape: Vec<i64>,
}

impl Display for Output {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.name, self.holds, times(&self.shape))
    }
}

/// A key of the manifest that the model contradicts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct Misfit {
    /// The manifest's key, such as `input.width`.
    pub key: &'static str,
    /// What it says, and what the model has instead.
    pub why: String,
}

/// A shape in words, such as 1×3×416×416; a side that the model leaves open is a question mark.
pub fn times(shape: &[i64]) -> String {
    let side = |&side: &i64| match side {
        0.. => side.to_string(),
        _ => "?".to_owned(),
    };
    shape.iter().map(side).collect::<Vec<_>>().join("×")
}

type Found = (Box<dyn Decode>, Vec<usize>);

/// A decoder of one output: the only one that `fit` accepts.
pub(super) fn single(
    wish: &Wish<'_>,
    outputs: &[Output],
    fit: impl Fn(&[usize]) -> Option<Box<dyn Decode>>,
) -> Result<Found, Misfit> {
    let candidates = named(wish, outputs)?;
    let fitting = candidates
        .iter()
        .filter_map(|&index| Some((fit(&sides(outputs.get(index)?))?, index)));
    let mut fitting: Vec<_> = fitting.collect();
    match (fitting.pop(), fitting.as_slice()) {
        (Some((decode, index)), []) => Ok((decode, vec![index])),
        (None, _) => Err(Misfit {
            key: "decoder",
            why: format!(
                "{} reads {}, the model has {}",
                wish.decoder.name(),
                expected(wish),
                list(&candidates, outputs)
            ),
        }),
        (Some((_, last)), others) => {
            let indices: Vec<usize> = others.iter().map(|(_, i)| *i).chain([last]).collect();
            Err(Misfit {
                key: "outputs",
                why: format!(
                    "name the one to read as {}, the model has {}",
                    wish.decoder.name(),
                    list(&indices, outputs)
                ),
            })
        }
    }
}

/// A decoder of several outputs, which `fit` finds among the shapes (and says where each is, in its order); with names
/// they are in its order already. `None` when it finds none.
pub(super) fn several(
    wish: &Wish<'_>,
    outputs: &[Output],
    fit: impl Fn(&[Vec<usize>], bool) -> Option<(Box<dyn Decode>, Vec<usize>)>,
) -> Result<Option<Found>, Misfit> {
    let candidates = named(wish, outputs)?;
    let shape = |index: &usize| outputs.get(*index).map(sides);
    let shapes: Vec<Vec<usize>> = candidates.iter().filter_map(shape).collect();
    Ok(
        fit(&shapes, !wish.names.is_empty()).map(|(decode, places)| {
            let index = |place: usize| candidates.get(place).copied();
            (decode, places.into_iter().filter_map(index).collect())
        }),
    )
}

/// The outputs that may be read, in the order of their names in the manifest.
fn named(wish: &Wish<'_>, outputs: &[Output]) -> Result<Vec<usize>, Misfit> {
    if wish.names.is_empty() {
        return Ok((0..outputs.len()).collect());
    }
    let all: Vec<usize> = (0..outputs.len()).collect();
    let place = |name: &String| {
        let place = outputs.iter().position(|output| output.name == *name);
        place.ok_or_else(|| Misfit {
            key: "outputs",
            why: format!(
                "there is no {name:?}, the model has {}",
                list(&all, outputs)
            ),
        })
    };
    wish.names.iter().take(MAX_OUTPUTS).map(place).collect()
}

fn list(indices: &[usize], outputs: &[Output]) -> String {
    let shown = indices.iter().filter_map(|&index| outputs.get(index));
    let shown: Vec<String> = shown.map(ToString::to_string).collect();
    if shown.is_empty() {
        "no output".to_owned()
    } else {
        shown.join(", ")
    }
}

fn sides(output: &Output) -> Vec<usize> {
    let side = |&side: &i64| usize::try_from(side).unwrap_or(0);
    output.shape.iter().map(side).collect()
}
