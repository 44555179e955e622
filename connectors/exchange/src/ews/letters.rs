//! Which letters a name or address may go on with. It must not know any directory.

use std::ops::RangeInclusive;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// What a mail address of plain ASCII may be made of, in the order in which it is tried.
pub(crate) const ADDRESS: &str = "abcdefghijklmnopqrstuvwxyz0123456789.-_@'+&!#$%*/=?^`{|}~";

/// Alphabets that are small enough to be tried letter by letter: where one of theirs is in an address, all may be.
const ALPHABETS: [&[RangeInclusive<char>]; 10] = [
    // Latin with its marks.
    &['\u{df}'..='\u{f6}', '\u{f8}'..='\u{17f}', '\u{218}'..='\u{21b}', '\u{1e9e}'..='\u{1ef9}'],
    // Greek.
    &['\u{390}'..='\u{390}', '\u{3ac}'..='\u{3ce}'],
    // Cyrillic.
    &['\u{430}'..='\u{45f}', '\u{491}'..='\u{491}'],
    // Armenian.
    &['\u{561}'..='\u{587}'],
    // Hebrew.
    &['\u{5d0}'..='\u{5ea}'],
    // Arabic and Persian.
    &['\u{621}'..='\u{652}', '\u{66e}'..='\u{6d3}'],
    // Devanagari.
    &['\u{901}'..='\u{94d}', '\u{966}'..='\u{96f}'],
    // Thai.
    &['\u{e01}'..='\u{e3a}', '\u{e40}'..='\u{e4e}'],
    // Georgian.
    &['\u{10d0}'..='\u{10fa}'],
    // Hiragana and Katakana.
    &['\u{3041}'..='\u{3096}', '\u{30a1}'..='\u{30fe}'],
];

/// With what somebody's name or address may begin who has nothing in an alphabet: the commonest family names.
const FAMILIES: &str = "\
    王李张張刘劉陈陳杨楊黄黃赵趙吴吳周徐孙孫马馬朱胡郭何高林罗羅郑鄭梁谢謝宋唐许許邓鄧冯馮韩韓曹曾彭萧蕭蔡潘田董袁于余叶葉蒋蔣杜苏蘇\
    佐鈴渡伊山中小加吉松井木斎清池橋阿石前藤岡後村近坂遠青福太西三金長原\
    김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민";

/// Folds a text as the directory does for its comparison: composed, without regard to case.
pub(crate) fn folded(text: &str) -> String {
    text.trim().chars().flat_map(char::to_lowercase).nfc().filter(|c| !c.is_control()).collect()
}

/// Returns the first letters that are tried besides those of addresses.
pub(crate) fn beginnings() -> impl Iterator<Item = char> {
    ALPHABETS.iter().flat_map(|ranges| letters(ranges)).chain(FAMILIES.chars())
}

/// Returns the alphabet that a letter belongs to; `None` where there is no end of its like, and for marks.
pub(crate) fn alphabet_of(letter: char) -> Option<impl Iterator<Item = char>> {
    let all = ALPHABETS.iter().find(|ranges| letters(ranges).any(|other| other == letter))?;
    Some(letters(all))
}

/// Tells whether a letter is a mark on another one: directories compare without them, so that behind each beginning it
/// would find the same again.
pub(crate) fn is_mark(letter: char) -> bool {
    is_combining_mark(letter)
}

/// Lists what can be in a folded text: no capitals and no marks.
fn letters(ranges: &[RangeInclusive<char>]) -> impl Iterator<Item = char> {
    let stays = |c: &char| folded(&c.to_string()).chars().eq([*c]);
    ranges.iter().cloned().flatten().filter(move |c| c.is_alphanumeric() && !is_mark(*c) && stays(c))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_fold_composes_and_forgets_case() {
        assert_eq!(folded(" A\u{301}NN "), "\u{e1}nn");
        assert_eq!(folded("\u{3a3}"), "\u{3c3}");
        assert_eq!(folded("\u{418}\u{306}"), "\u{439}");
    }

    #[test]
    fn what_is_tried_is_folded_and_comes_once() {
        let all: Vec<char> = ADDRESS.chars().collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for letter in ADDRESS.chars().chain(beginnings()) {
            assert_eq!(folded(&letter.to_string()), letter.to_string(), "{letter}");
        }
    }

    #[test]
    fn an_alphabet_holds_its_letter_and_no_capital() {
        for letter in ['\u{df}', 'ж', 'λ', 'ש', 'ن', 'ン', 'ก'] {
            let alphabet: Vec<char> = alphabet_of(letter).unwrap().collect();
            assert!(alphabet.contains(&letter), "{letter}");
            assert!(alphabet.iter().all(|c| !c.is_uppercase()), "{alphabet:?}");
        }
        assert!(alphabet_of('王').is_none() && alphabet_of('\u{1f600}').is_none());
    }
}
