//! Texts made comparable: what people write differently and mean as the same. It knows no attribute.

use unicode_normalization::UnicodeNormalization;

/// Makes a text comparable: trimmed, spaces inside made one, case-folded, in normal form C.
///
/// Folding is by way of upper case, character by character, so that `ß` and `ss`, `ς` and `σ` are the same; and to there by
/// way of lower case, for a capital whose small letter has another one: `ẞ`.
pub(crate) fn folded(text: &str) -> String {
    if text.is_ascii() {
        return joined(text.split_ascii_whitespace()).to_ascii_lowercase();
    }
    let folded: String = text
        .nfc()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect();
    joined(folded.split_whitespace())
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_means_the_same_becomes_the_same() {
        for (a, b) in [
            ("  Ann ", "ann"),
            ("Stra\u{df}e", "STRASSE"),
            ("STRA\u{1e9e}E", "STRASSE"),
            ("\u{3a3}\u{3af}\u{3c3}\u{3c5}\u{3c6}\u{3bf}\u{3c2}", "\u{3c3}\u{3af}\u{3c3}\u{3c5}\u{3c6}\u{3bf}\u{3c3}"),
            ("Zoe\u{308}", "ZO\u{cb}"),
            ("van  der\u{a0}Berg", "Van Der Berg"),
            ("\u{fb01}n", "FIN"),
        ] {
            assert_eq!(folded(a), folded(b), "{a:?} {b:?}");
        }
        assert_ne!(folded("Ann"), folded("Anne"));
    }

    #[test]
    fn every_letter_folds_to_what_folds_to_itself() {
        for letter in ('\u{80}'..=char::MAX).filter(|letter| letter.is_alphabetic()) {
            let once = folded(&letter.to_string());
            assert_eq!(folded(&once), once, "{letter:?}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,12}") {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once);
        }
    }
}
