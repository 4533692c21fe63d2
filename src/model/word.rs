//! Words that people type.

/// Finds the word that `typed` was probably meant to be.
pub(crate) fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('_', "-");
    let distance = |word: &&str| strsim::damerau_levenshtein(&typed, word);
    let word = known.iter().copied().min_by_key(distance)?;
    (distance(&word) <= word.len().max(3) / 3).then_some(word)
}
