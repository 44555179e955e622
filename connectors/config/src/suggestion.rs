//! Which word somebody meant: the nearest of those that exist.
//!
//! It knows no words of its own.

/// Returns the known word that a mistaken one is likely to stand for.
pub(crate) fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let fold = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    // Far longer than any word that exists; the comparison is quadratic.
    if word.len() > 64 {
        return None;
    }
    let word = fold(word);
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_strangers_find_none() {
        let known = ["password", "ca_file", "users", "groups"];
        assert_eq!(nearest("passwrod", known), Some("password"));
        assert_eq!(nearest("ca-file", known), Some("ca_file"));
        assert_eq!(nearest("caFile", known), Some("ca_file"));
        assert_eq!(nearest("user", known), Some("users"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"users".repeat(1000), known), None);
    }
}
