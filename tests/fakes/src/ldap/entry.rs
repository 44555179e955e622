//! Writes entries as search results: attribute selection, ranges, extended names; it knows no connection.

use std::borrow::Cow;

use super::ber::{OCTETS, SEQUENCE, SET, Writer};
use super::controls::DnForm;
use super::directory::state::Id;
use super::ids::{Guid, Sid, hex};
use super::message;
use super::schema::{self, Syntax};
use super::settings::{RangeEnd, RangeSpelling, Settings};
use super::view::View;

/// An attribute that was asked for, with the range if one was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) lower: String,
    range: Option<(usize, Option<usize>)>,
}

/// Which attributes a search returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) all: bool,
    pub(crate) named: Vec<Wanted>,
    types_only: bool,
}

impl Selection {
    pub(crate) fn new(attributes: &[String], types_only: bool) -> Self {
        let mut named: Vec<Wanted> = Vec::new();
        for text in attributes.iter().filter(|text| *text != "*" && *text != "1.1") {
            let wanted = wanted(text);
            if !named.contains(&wanted) {
                named.push(wanted);
            }
        }
        Self { all: attributes.is_empty() || attributes.iter().any(|text| text == "*"), named, types_only }
    }

    /// Says whether an attribute was asked for, by name or with all.
    pub(crate) fn includes(&self, lower: &str) -> bool {
        self.all || self.named.iter().any(|wanted| wanted.lower == lower)
    }

    pub(crate) fn put(&self, list: &mut Writer, name: &str, values: &[Cow<'_, [u8]>]) {
        list.nested(SEQUENCE, |attribute| {
            attribute.text(OCTETS, name);
            attribute.nested(SET, |set| {
                for value in values.iter().filter(|_| !self.types_only) {
                    set.octets(OCTETS, value);
                }
            });
        });
    }
}

fn wanted(text: &str) -> Wanted {
    let mut parts = text.split(';');
    let lower = parts.next().unwrap_or_default().to_lowercase();
    let range = parts.find_map(|option| {
        let (low, high) =
            option.to_lowercase().strip_prefix("range=")?.split_once('-').map(|(l, h)| (l.parse(), h.to_owned()))?;
        Some((low.ok()?, if high == "*" { None } else { Some(high.parse().ok()?) }))
    });
    Wanted { lower, range }
}

/// Everything about a request that decides how its entries are written.
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) selection: &'a Selection,
    pub(crate) form: DnForm,
    pub(crate) settings: &'a Settings,
    pub(crate) message_id: i64,
}

impl Writing<'_> {
    pub(crate) fn entry(&self, id: Id) -> Vec<u8> {
        message::write(self.message_id, &[], |message| {
            message.nested(0x64, |body| {
                body.text(OCTETS, &self.dn(id));
                body.nested(SEQUENCE, |list| self.attributes(id, list));
            });
        })
    }

    pub(crate) fn dn(&self, id: Id) -> String {
        let entry = self.view.state.entry(id);
        decorate(self.form, entry.guid, entry.sid.as_ref(), self.view.state.dn(id))
    }

    fn attributes(&self, id: Id, list: &mut Writer) {
        if self.selection.all {
            for name in self.view.state.listed_names(id) {
                if !self.selection.named.iter().any(|wanted| *wanted.lower == *name) {
                    self.attribute(id, &Wanted { lower: name.to_string(), range: None }, list);
                }
            }
        }
        for wanted in &self.selection.named {
            self.attribute(id, wanted, list);
        }
    }

    /// Returns the values in the form in which they are sent.
    pub(crate) fn values(&self, id: Id, lower: &str) -> Vec<Cow<'_, [u8]>> {
        if schema::is_link(lower) || schema::forward_of(lower).is_some() {
            let links = self.view.linked(id, lower).into_iter();
            return links.filter_map(|guid| self.link(guid)).map(Cow::Owned).collect();
        }
        let values = self.view.values(id, lower);
        if self.form == DnForm::Plain || schema::syntax(lower) != Syntax::Name {
            return values;
        }
        let known = |text: &str| super::dn::Dn::parse(text).and_then(|dn| self.view.state.resolve(&dn).ok());
        let extend = |value: Cow<'_, [u8]>| match std::str::from_utf8(&value).ok().and_then(known) {
            Some(id) => Cow::Owned(self.dn(id).into_bytes()),
            None => Cow::Owned(value.into_owned()),
        };
        values.into_iter().map(extend).collect()
    }

    /// Returns a link's value, named as it is now.
    pub(crate) fn link(&self, guid: Guid) -> Option<Vec<u8>> {
        let (dn, sid) = self.view.state.target(guid)?;
        Some(decorate(self.form, guid, sid.as_ref(), dn).into_bytes())
    }

    fn attribute(&self, id: Id, wanted: &Wanted, list: &mut Writer) {
        let values = self.values(id, &wanted.lower);
        let shown = self.view.state.shown(&wanted.lower);
        let most = self.settings.max_val_range;
        let Some((low, high)) = wanted.range else {
            if values.len() > most {
                // The empty attribute next to the range is what real servers send as well.
                self.selection.put(list, shown, &[]);
                self.range(shown, &values, 0, None, list);
            } else if !values.is_empty() {
                self.selection.put(list, shown, &values);
            }
            return;
        };
        self.range(shown, &values, low, high, list);
    }

    fn range(&self, shown: &str, values: &[Cow<'_, [u8]>], low: usize, high: Option<usize>, list: &mut Writer) {
        let most = self.settings.max_val_range.max(1);
        if low >= values.len() {
            if self.settings.range_end == RangeEnd::NoValues && low > 0 {
                self.selection.put(list, &self.range_name(shown, low, None), &[]);
            }
            return;
        }
        let end =
            values.len().min(low.saturating_add(most)).min(high.map_or(usize::MAX, |high| high.saturating_add(1)));
        if end <= low {
            return;
        }
        let full = end - low == most && self.settings.range_end != RangeEnd::Star;
        let upper = if end == values.len() && !full { None } else { Some(end - 1) };
        self.selection.put(list, &self.range_name(shown, low, upper), &values[low..end]);
    }

    fn range_name(&self, shown: &str, low: usize, high: Option<usize>) -> String {
        let high = high.map_or_else(|| "*".to_owned(), |high| high.to_string());
        match self.settings.range_spelling {
            RangeSpelling::Lower => format!("{shown};range={low}-{high}"),
            RangeSpelling::Capitalised => {
                let mut letters = shown.chars();
                let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
                format!("{first}{};Range={low}-{high}", letters.as_str())
            }
        }
    }
}

/// Puts GUID and SID before a name when the client asked for it.
pub(crate) fn decorate(form: DnForm, guid: Guid, sid: Option<&Sid>, dn: String) -> String {
    let sid = |text: &dyn Fn(&Sid) -> String| sid.map(|sid| format!("<SID={}>;", text(sid))).unwrap_or_default();
    match form {
        DnForm::Plain => dn,
        DnForm::ExtendedText => format!("<GUID={guid}>;{}{dn}", sid(&ToString::to_string)),
        DnForm::ExtendedHex => format!("<GUID={}>;{}{dn}", guid.to_hex(), sid(&|sid| hex(&sid.to_wire()))),
    }
}
