//! One page of any listing, honest or not; it knows no resource by itself.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::faults::Fault;
use super::mask::Mask;
use super::page::{PageToken, fingerprint};
use super::refusal::Refusal;
use super::seed::mixed;
use super::settings::{EntityTags, Settings};
use super::{Answer, answer};

/// What is particular to one listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) kind: &'static str,
    pub(crate) items: &'static str,
    pub(crate) default: usize,
    pub(crate) most: usize,
    /// Whether a larger page is refused; else it is cut.
    pub(crate) strict: bool,
    /// The item's fields, against which a mask is checked; empty: unchecked.
    pub(crate) fields: &'static [&'static str],
}

/// Items with the position after which the next page begins.
pub(crate) type Items<'a> = Box<dyn Iterator<Item = (String, Map<String, Value>)> + 'a>;

/// Everything that shapes a page besides the items.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) call: &'a Call,
    pub(crate) settings: &'a Settings,
    pub(crate) faults: &'a [Fault],
    pub(crate) now: i64,
}

impl Frame<'_> {
    fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    fn listing(&self) -> u64 {
        const ASIDE: [&str; 6] = ["pageToken", "maxResults", "fields", "alt", "prettyPrint", "key"];
        let query = self.call.query.iter().filter(|(name, _)| !ASIDE.contains(&name.as_str()));
        let text: Vec<_> = query.map(|(name, value)| format!("{name}={value}")).collect();
        fingerprint(&format!("{} {:?} {}", self.call.operation, self.call.keys, text.join("&")))
    }

    fn limit(&self, spec: &Spec) -> Result<usize, Refusal> {
        let Some(text) = self.call.parameter("maxResults") else { return Ok(spec.default) };
        let asked: usize = text.parse().map_err(|_| Refusal::new(400, "invalidParameter", "Invalid integer value"))?;
        if asked == 0 || spec.strict && asked > spec.most {
            let message = format!("Invalid value '{asked}'. Values must be within the range: [1, {}]", spec.most);
            return Err(Refusal::new(400, "invalidParameter", &message));
        }
        Ok(asked.min(spec.most))
    }

    /// Makes a page of what `items` gives after a position.
    pub(crate) fn page<'a>(&self, spec: &Spec, items: impl FnOnce(&str) -> Items<'a>) -> Result<Answer, Refusal> {
        let listing = self.listing();
        let limit = self.limit(spec)?;
        let mask = self.mask(spec)?;
        let sent = self.call.parameter("pageToken").filter(|token| !token.is_empty());
        let start = PageToken { listing, after: String::new(), page: 1, since: self.now, given: self.now, shown: 0 };
        let token = match sent {
            Some(token) if self.has(&Fault::RefuseTokens) => return Err(Refusal::invalid(token)),
            Some(token) if !self.has(&Fault::RepeatFirstPage) => {
                PageToken::checked(token, listing, self.now, self.settings)?
            }
            _ => start,
        };
        let mut rows = Vec::new();
        let mut walk = items(&token.after).peekable();
        if !self.has(&Fault::EmptyPage) {
            while rows.len() < limit {
                let Some(row) = walk.next() else { break };
                rows.push(row);
            }
        }
        let more = walk.peek().is_some();
        let after = rows.last().map_or_else(|| token.after.clone(), |(position, _)| position.clone());
        let shown = token.shown + rows.len();
        let cut = self.faults.iter().find_map(|fault| match fault {
            Fault::Truncate(most) if shown >= *most => Some(most.saturating_sub(token.shown)),
            _ => None,
        });
        rows.truncate(cut.unwrap_or(usize::MAX));
        let honest = more && cut.is_none() && !self.has(&Fault::EndListing) && !self.has(&Fault::EmptySuccess);
        let next = PageToken { after, page: token.page + 1, given: self.now, shown, ..token };
        let next = match sent {
            Some(sent) if self.has(&Fault::RepeatToken) => Some(sent.to_owned()),
            _ => (honest || !more && self.has(&Fault::ExtraPage)).then(|| next.write()),
        };
        let mut shown: Vec<Value> = Vec::new();
        if !self.has(&Fault::EmptySuccess) {
            let total = rows.len();
            let kept = rows.into_iter().enumerate().filter(|(index, (_, item))| self.keeps(*index, total, item));
            shown.extend(kept.map(|(_, (_, item))| self.dressed(item)));
        }
        Ok(self.finished(spec, &mask, shown, next))
    }

    /// Makes the answer of a listing that has no pages, or of items at hand.
    pub(crate) fn finished(&self, spec: &Spec, mask: &Mask, items: Vec<Value>, next: Option<String>) -> Answer {
        let tags: Vec<_> = items.iter().map(|item| item["etag"].as_str().unwrap_or_default()).collect();
        // The tag is made of the items alone: empty pages of different listings share one, as they do in earnest.
        let tag = etag(&tags.join(" "));
        let mut body = json!({"kind": spec.kind, "etag": tag});
        if !items.is_empty() {
            body[spec.items] = Value::Array(items);
        }
        if let Some(next) = next {
            body["nextPageToken"] = json!(next);
        }
        self.tagged(body, &tag, mask)
    }

    fn tagged(&self, mut body: Value, tag: &str, mask: &Mask) -> Answer {
        let asked = self.call.if_none_match.as_deref();
        let unchanged = asked.is_some_and(|asked| asked == tag || asked == "*");
        let honoured = self.settings.entity_tags == EntityTags::Honoured && unchanged;
        if honoured || asked.is_some() && self.has(&Fault::NotModified) {
            let mut answer = Answer::new(Vec::new());
            *answer.status_mut() = http::StatusCode::NOT_MODIFIED;
            return answer;
        }
        mask.apply(&mut body);
        answer(200, &body)
    }

    /// Makes the answer of a single object.
    pub(crate) fn object(&self, fields: Map<String, Value>) -> Result<Answer, Refusal> {
        let mask = self.mask_of(&[], "", &[])?;
        let body = self.dressed(fields);
        let tag = body["etag"].as_str().unwrap_or_default().to_owned();
        Ok(self.tagged(body, &tag, &mask))
    }

    pub(crate) fn mask(&self, spec: &Spec) -> Result<Mask, Refusal> {
        self.mask_of(&["kind", "etag", "nextPageToken", spec.items], spec.items, spec.fields)
    }

    fn mask_of(&self, page: &[&str], items: &str, fields: &[&str]) -> Result<Mask, Refusal> {
        let Some(text) = self.call.parameter("fields") else { return Ok(Mask::default()) };
        let wrong = |name: &str| Refusal::new(400, "invalidParameter", &format!("Invalid field selection {name}"));
        let mask = Mask::parse(text).ok_or_else(|| wrong(text))?;
        let unknown = if fields.is_empty() { None } else { mask.unknown(page, items, fields) };
        match unknown {
            Some(name) => Err(wrong(name)),
            None => Ok(mask),
        }
    }

    fn keeps(&self, index: usize, total: usize, item: &Map<String, Value>) -> bool {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        self.faults.iter().all(|fault| match fault {
            Fault::DropTail(percent) => index * 100 < total * (100 - usize::from(*percent).min(100)),
            Fault::DropRows { percent, seed } => {
                let id = [text("id"), text("deviceId"), text("resourceId")].concat();
                mixed(fingerprint(&id) ^ seed) % 100 >= u64::from(*percent)
            }
            Fault::HideOrgUnit(path) => {
                let unit = format!("/{}/", text("orgUnitPath").trim_start_matches('/'));
                !unit.starts_with(&format!("{path}/"))
            }
            _ => true,
        })
    }

    /// Gives an item its tag and takes what a fault hides.
    pub(crate) fn dressed(&self, mut item: Map<String, Value>) -> Value {
        for fault in self.faults {
            if let Fault::HideField(name) = fault {
                item.remove(*name);
            }
        }
        let tag = etag(&serde_json::to_string(&item).unwrap_or_default());
        item.insert("etag".to_owned(), json!(tag));
        Value::Object(item)
    }
}

/// A hash of the content, in quotes, in the form of the real ones.
pub(crate) fn etag(content: &str) -> String {
    let hash = fingerprint(content);
    format!("\"directory-fake/{:016x}{:08x}\"", hash, mixed(hash) >> 32)
}
