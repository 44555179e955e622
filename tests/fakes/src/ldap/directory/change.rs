//! Changes of entries with the bookkeeping of a domain controller: USNs, times, links; it knows no request.

use super::state::{Entry, Id, Life, Phantom, Refusal, State, Stored, Value};
use crate::ldap::dn::{Dn, Rdn};
use crate::ldap::ids::{Guid, Sid};
use crate::ldap::schema;

/// What a new entry brings along; ids that are missing are derived.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) guid: Option<Guid>,
    pub(crate) sid: Option<Sid>,
    pub(crate) attributes: Vec<(String, Vec<Value>)>,
}

impl Draft {
    pub(crate) fn get(&self, name: &str) -> Option<&[Value]> {
        self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, values)| values.as_slice())
    }

    pub(crate) fn set(&mut self, name: &str, values: Vec<Value>) {
        self.attributes.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.attributes.push((name.to_owned(), values));
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.set(name, vec![value.as_bytes().to_vec()]);
    }

    fn fallback(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.text(name, value);
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.first().and_then(|value| std::str::from_utf8(value).ok()?.parse().ok())
    }
}

impl State {
    /// Gives the entry a new USN and the time of now.
    pub(crate) fn touch(&mut self, id: Id) -> u64 {
        self.usn += 1;
        let (usn, now) = (self.usn, self.clock.now());
        let entry = self.entry_mut(id);
        entry.usn_changed = usn;
        entry.when_changed = now;
        usn
    }

    pub(crate) fn store(&mut self, id: Id, name: &str, values: Vec<Value>, usn: u64) {
        let name = self.name(name);
        if name.as_ref() == "samaccountname" {
            self.register_account(id, values.first());
        }
        self.entry_mut(id).attributes.insert(name, Stored { values, usn });
    }

    fn register_account(&mut self, id: Id, value: Option<&Value>) {
        if let Some(old) = self.entry(id).text("samaccountname").map(str::to_lowercase)
            && self.by_account.get(&old) == Some(&id)
        {
            self.by_account.remove(&old);
        }
        if let Some(new) = value {
            self.by_account.insert(String::from_utf8_lossy(new).to_lowercase(), id);
        }
    }

    /// Adds an entry without looking at rights; classes, category, account type and ids are filled in.
    pub(crate) fn create(&mut self, parent: Id, rdn: Rdn, mut draft: Draft) -> Result<Id, Refusal> {
        if self.entry(parent).children.contains_key(&rdn.normal()) {
            return Err(Refusal::new(68, "00000562: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS), data 0\n"));
        }
        let account =
            draft.get("sAMAccountName").and_then(<[_]>::first).map(|v| String::from_utf8_lossy(v).to_lowercase());
        if account.is_some_and(|account| self.by_account.contains_key(&account)) {
            return Err(Refusal::new(68, "00000524: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS), data 0\n"));
        }
        self.fill_in(&rdn, &mut draft)?;
        let dn = format!("{rdn},{}", self.dn(parent));
        let guid = self.fresh_guid(draft.guid, &dn)?;
        let sid = self.fresh_sid(&rdn, &draft)?;
        let id = self.push(guid, sid, Some(parent), rdn);
        let key = self.entry(id).rdn.normal();
        self.entry_mut(parent).children.insert(key, id);
        self.fill(id, draft)?;
        Ok(id)
    }

    /// Adds the top of a naming context.
    pub(crate) fn create_head(&mut self, dn: &Dn, draft: Draft) -> Id {
        let guid = draft.guid.unwrap_or_else(|| Guid::derive(self.seed, &dn.normal(), 0));
        let rdn = dn.0.first().cloned().unwrap_or_else(|| Rdn::new("DC", "root"));
        let id = self.push(guid, draft.sid.clone(), None, rdn);
        self.entry_mut(id).head = Some(dn.clone());
        self.heads.push((dn.clone(), id));
        self.heads.sort_by_key(|(dn, _)| std::cmp::Reverse(dn.0.len()));
        let filled = self.fill(id, draft);
        debug_assert!(filled.is_ok(), "the head of a naming context has no links");
        id
    }

    fn push(&mut self, guid: Guid, sid: Option<Sid>, parent: Option<Id>, rdn: Rdn) -> Id {
        let id = Id(self.entries.len());
        self.by_guid.insert(guid, id);
        if let Some(sid) = &sid {
            self.by_sid.insert(sid.clone(), id);
        }
        let now = self.clock.now();
        self.entries.push(Entry {
            guid,
            sid,
            parent,
            rdn,
            head: None,
            attributes: std::collections::BTreeMap::new(),
            links: std::collections::BTreeMap::new(),
            back: std::collections::BTreeSet::new(),
            children: std::collections::BTreeMap::new(),
            usn_created: self.usn + 1,
            usn_changed: 0,
            usn_named: self.usn + 1,
            usn_moved: self.usn + 1,
            usn_revived: 0,
            when_created: now,
            when_changed: now,
            life: Life::Live,
            last_parent: None,
            last_rdn: None,
        });
        id
    }

    fn fill(&mut self, id: Id, draft: Draft) -> Result<(), Refusal> {
        let usn = self.touch(id);
        for (name, values) in draft.attributes {
            if schema::is_link(&name.to_lowercase()) {
                for value in &values {
                    let target = self.link_target(&String::from_utf8_lossy(value), true)?;
                    self.link(id, &name, target, usn);
                }
            } else {
                self.store(id, &name, values, usn);
            }
        }
        Ok(())
    }

    fn fill_in(&self, rdn: &Rdn, draft: &mut Draft) -> Result<(), Refusal> {
        let classes = draft.get("objectClass").unwrap_or_default();
        let Some(last) = classes.last().map(|class| String::from_utf8_lossy(class).into_owned()) else {
            return Err(Refusal::new(
                65,
                "0000207D: UpdErr: DSID-0315166D, problem 6002 (OBJ_CLASS_VIOLATION), data 0\n",
            ));
        };
        if classes.len() == 1 {
            draft.set("objectClass", schema::class_chain(&last).into_iter().map(String::into_bytes).collect());
        }
        let schema_dn = format!("CN=Schema,CN=Configuration,{}", self.root_dn());
        let category = schema::category_of(&last).unwrap_or("Container");
        draft.fallback("objectCategory", &format!("CN={category},{schema_dn}"));
        draft.fallback("instanceType", "4");
        let has = |class: &str| {
            let classes = draft.get("objectClass").unwrap_or_default();
            classes.iter().any(|value| value.eq_ignore_ascii_case(class.as_bytes()))
        };
        let (is_user, is_computer, is_group) = (has("user"), has("computer"), has("group"));
        if is_user || is_group {
            let spare = if is_computer { format!("{}$", rdn.value.to_uppercase()) } else { rdn.value.clone() };
            draft.fallback("sAMAccountName", &spare);
        }
        if is_user {
            draft.fallback("userAccountControl", if is_computer { "4096" } else { "512" });
            let control = draft.number("userAccountControl").unwrap_or(512);
            let group = match control {
                _ if control & 0x2000 != 0 => "516",
                _ if is_computer => "515",
                _ => "513",
            };
            draft.fallback("primaryGroupID", group);
            let now = self.clock.now().to_string();
            for (name, value) in [("accountExpires", "9223372036854775807"), ("pwdLastSet", now.as_str())] {
                draft.fallback(name, value);
            }
            for name in ["badPwdCount", "codePage", "countryCode"] {
                draft.fallback(name, "0");
            }
            draft.text("sAMAccountType", &account_type(control).to_string());
        } else if is_group {
            draft.fallback("groupType", "-2147483646");
            let kind = draft.number("groupType").unwrap_or(-2_147_483_646);
            draft.text("sAMAccountType", &group_account_type(kind).to_string());
        }
        Ok(())
    }

    fn fresh_guid(&self, given: Option<Guid>, dn: &str) -> Result<Guid, Refusal> {
        let taken = |guid: &Guid| self.by_guid.contains_key(guid) || self.phantoms.contains_key(guid);
        match given {
            Some(guid) if taken(&guid) => Err(Refusal::new(68, "the GUID belongs to another object")),
            Some(guid) => Ok(guid),
            None => {
                let name = dn.to_lowercase();
                let mut free = (0..).map(|attempt| Guid::derive(self.seed, &name, attempt)).filter(|guid| !taken(guid));
                free.next().ok_or_else(|| Refusal::new(1, "no GUID is free"))
            }
        }
    }

    fn fresh_sid(&mut self, rdn: &Rdn, draft: &Draft) -> Result<Option<Sid>, Refusal> {
        let is = |class: &str| {
            draft
                .get("objectClass")
                .is_some_and(|all| all.iter().any(|value| value.eq_ignore_ascii_case(class.as_bytes())))
        };
        let sid = match &draft.sid {
            Some(sid) => sid.clone(),
            None if is("foreignSecurityPrincipal") => {
                rdn.value.parse().map_err(|_| Refusal::new(19, "the RDN of a foreign principal is its SID"))?
            }
            None if is("user") || is("group") => loop {
                self.next_rid += 1;
                let sid = self.domain_sid.with_rid(self.next_rid);
                if !self.by_sid.contains_key(&sid) {
                    break sid;
                }
            },
            None => return Ok(None),
        };
        if self.by_sid.contains_key(&sid) {
            return Err(Refusal::new(68, "the SID belongs to another object"));
        }
        Ok(Some(sid))
    }

    /// Adds one value of a link and the way back; says whether it is new.
    pub(crate) fn link(&mut self, id: Id, name: &str, target: Guid, usn: u64) -> bool {
        let name = self.name(name);
        let set = self.entry_mut(id).links.entry(name.clone()).or_default();
        let new = set.add(target, usn);
        if let Some(other) = self.by_guid.get(&target).copied() {
            self.entry_mut(other).back.insert((name, id));
        }
        new
    }

    pub(crate) fn unlink(&mut self, id: Id, name: &str, target: Guid, usn: u64) -> bool {
        let name = self.name(name);
        let was = self.entry_mut(id).links.get_mut(&name).is_some_and(|set| set.remove(target, usn));
        if let Some(other) = self.by_guid.get(&target).copied() {
            self.entry_mut(other).back.remove(&(name, id));
        }
        was
    }

    /// Finds the object that a link value names: a DN, `<GUID=…>`, `<SID=…>` or the extended form of all three.
    pub(crate) fn link_target(&mut self, text: &str, system: bool) -> Result<Guid, Refusal> {
        let missing = || {
            Refusal::new(
                32,
                "0000208D: NameErr: DSID-03151B45, problem 2001 (NO_OBJECT), data 0, best match of:\n\t''\n",
            )
        };
        let (mut guid, mut sid, mut rest) = (None, None, text);
        while let Some((part, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            match part.split_once('=') {
                Some((key, value)) if key.eq_ignore_ascii_case("guid") => guid = value.parse::<Guid>().ok(),
                Some((key, value)) if key.eq_ignore_ascii_case("sid") => sid = read_sid(value),
                _ => return Err(missing()),
            }
            rest = after.strip_prefix(';').unwrap_or(after);
        }
        if let Some(known) = guid.filter(|guid| self.by_guid.contains_key(guid) || self.phantoms.contains_key(guid)) {
            return Ok(known);
        }
        if let Some(id) = sid.as_ref().and_then(|sid| self.by_sid.get(sid)) {
            return Ok(self.entry(*id).guid);
        }
        if rest.is_empty() {
            let sid = sid.filter(|sid| !sid.is_child_of(&self.domain_sid)).ok_or_else(missing)?;
            return self.foreign_principal(&sid).map(|id| self.entry(id).guid);
        }
        let dn = Dn::parse(rest)
            .ok_or_else(|| Refusal::new(34, "0000208F: NameErr: DSID-031001F7, problem 2006 (BAD_NAME)\n"))?;
        match self.resolve(&dn) {
            Ok(id) => Ok(self.entry(id).guid),
            Err(None) => {
                let key = dn.normal();
                let known = self
                    .phantoms
                    .iter()
                    .find(|(_, phantom)| Dn::parse(&phantom.dn).is_some_and(|dn| dn.normal() == key));
                if let Some((guid, _)) = known {
                    return Ok(*guid);
                }
                if !system {
                    return Err(missing());
                }
                let guid = guid.unwrap_or_else(|| Guid::derive(self.seed, &key, 0));
                self.phantoms.insert(guid, Phantom { dn: rest.to_owned(), sid });
                Ok(guid)
            }
            Err(Some(_)) => Err(missing()),
        }
    }

    pub(crate) fn foreign_principal(&mut self, sid: &Sid) -> Result<Id, Refusal> {
        if let Some(id) = self.by_sid.get(sid) {
            return Ok(*id);
        }
        let parent = self.complete("CN=ForeignSecurityPrincipals").and_then(|dn| self.resolve(&dn).ok());
        let parent = parent.ok_or_else(|| Refusal::new(32, "there is no container for foreign principals"))?;
        let mut draft = Draft { sid: Some(sid.clone()), ..Draft::default() };
        draft.text("objectClass", "foreignSecurityPrincipal");
        self.create(parent, Rdn::new("CN", &sid.to_string()), draft)
    }

    /// Renames or moves an entry; its children change their names without a USN of their own.
    pub(crate) fn rename(&mut self, id: Id, rdn: Rdn, parent: Option<Id>) -> Result<(), Refusal> {
        let old = self.entry(id).parent.ok_or_else(|| Refusal::new(53, "00002016: UpdErr: the root stays\n"))?;
        let new = parent.unwrap_or(old);
        if self.is_below(new, id) {
            return Err(Refusal::new(53, "00002089: UpdErr: DSID-031B0CB0, problem 5012 (DIR_ERROR), data 3\n"));
        }
        let clash = self.entry(new).children.get(&rdn.normal()).is_some_and(|other| *other != id);
        if clash {
            return Err(Refusal::new(68, "00000562: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS), data 0\n"));
        }
        let usn = self.touch(id);
        self.put(id, rdn, new, usn);
        Ok(())
    }

    fn put(&mut self, id: Id, rdn: Rdn, parent: Id, usn: u64) {
        let (key, old) = (self.entry(id).rdn.normal(), self.entry(id).parent);
        if let Some(old) = old {
            self.entry_mut(old).children.remove(&key);
        }
        let entry = self.entry_mut(id);
        if entry.rdn != rdn {
            entry.usn_named = usn;
        }
        if old != Some(parent) {
            entry.usn_moved = usn;
        }
        let key = rdn.normal();
        entry.rdn = rdn;
        entry.parent = Some(parent);
        self.entry_mut(parent).children.insert(key, id);
    }

    /// Turns an entry without children into a deleted object; the groups that held it do not change.
    pub(crate) fn bury(&mut self, id: Id) -> Result<(), Refusal> {
        if self.entry(id).life != Life::Live || self.entry(id).parent.is_none() {
            return Err(Refusal::new(53, "00002076: SvcErr: DSID-0315166D, problem 5003 (WILL_NOT_PERFORM), data 0\n"));
        }
        if !self.entry(id).children.is_empty() {
            return Err(Refusal::new(66, "00002015: UpdErr: DSID-031A1303, problem 6003 (CANT_ON_NON_LEAF), data 0\n"));
        }
        let usn = self.touch(id);
        let bin = self.recycle_bin;
        let entry = self.entry_mut(id);
        entry.life = Life::Deleted;
        entry.last_parent = entry.parent;
        entry.last_rdn = bin.then(|| entry.rdn.value.clone());
        let rdn = Rdn::new(&entry.rdn.attribute, &format!("{}\nDEL:{}", entry.rdn.value, entry.guid));
        if let Some(account) = entry.text("samaccountname").map(str::to_lowercase) {
            self.by_account.remove(&account);
        }
        self.put(id, rdn, self.deleted_objects, usn);
        if !bin {
            self.strip(id, usn);
        }
        Ok(())
    }

    /// Ends the recycle bin's time of a deleted object.
    pub(crate) fn recycle(&mut self, id: Id) {
        let usn = self.touch(id);
        self.entry_mut(id).life = Life::Recycled;
        self.strip(id, usn);
    }

    fn strip(&mut self, id: Id, usn: u64) {
        for (name, stored) in &mut self.entry_mut(id).attributes {
            if !schema::is_kept_on_tombstone(name) && !stored.values.is_empty() {
                *stored = Stored { values: Vec::new(), usn };
            }
        }
        let guid = self.entry(id).guid;
        let back = std::mem::take(&mut self.entry_mut(id).back);
        for (name, source) in back {
            if let Some(set) = self.entry_mut(source).links.get_mut(&name) {
                set.forget(guid);
            }
        }
        let links = std::mem::take(&mut self.entry_mut(id).links);
        for (name, set) in links {
            let targets: Vec<Id> = set.present().filter_map(|guid| self.by_guid.get(&guid).copied()).collect();
            for target in targets {
                self.entry_mut(target).back.remove(&(name.clone(), id));
            }
        }
    }

    /// Brings a deleted object back to a place; with the recycle bin its attributes and links return as well.
    pub(crate) fn revive(&mut self, id: Id, rdn: Rdn, parent: Id) -> Result<(), Refusal> {
        if self.entry(id).life != Life::Deleted {
            return Err(Refusal::new(53, "00002076: SvcErr: DSID-0315166D, problem 5003 (WILL_NOT_PERFORM), data 0\n"));
        }
        if self.entry(parent).children.contains_key(&rdn.normal()) {
            return Err(Refusal::new(68, "00000562: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS), data 0\n"));
        }
        let usn = self.touch(id);
        self.put(id, rdn, parent, usn);
        let entry = self.entry_mut(id);
        entry.life = Life::Live;
        entry.usn_revived = usn;
        (entry.last_parent, entry.last_rdn) = (None, None);
        let account = entry.plain("samaccountname").first().cloned();
        self.register_account(id, account.as_ref());
        self.restore_category(id, usn);
        Ok(())
    }

    fn restore_category(&mut self, id: Id, usn: u64) {
        let entry = self.entry(id);
        let class = entry.plain("objectclass").last().map(|class| String::from_utf8_lossy(class).into_owned());
        let (control, kind) = (entry.number("useraccountcontrol"), entry.number("grouptype"));
        let known = !entry.plain("objectcategory").is_empty();
        if let Some(category) = class.as_deref().and_then(schema::category_of).filter(|_| !known) {
            let dn = format!("CN={category},CN=Schema,CN=Configuration,{}", self.root_dn());
            self.store(id, "objectCategory", vec![dn.into_bytes()], usn);
        }
        if let Some(kind) = control.map(account_type).or_else(|| kind.map(group_account_type)) {
            self.store(id, "sAMAccountType", vec![kind.to_string().into_bytes()], usn);
        }
    }
}

/// Reads the SID of `<SID=…>`: the text form or the hex digits of the binary one.
pub(crate) fn read_sid(text: &str) -> Option<Sid> {
    text.parse().ok().or_else(|| Sid::from_wire(&crate::ldap::ids::unhex(text)?).ok())
}

pub(crate) fn account_type(control: i64) -> i64 {
    match control {
        _ if control & 0x800 != 0 => 805_306_370,
        _ if control & 0x3000 != 0 => 805_306_369,
        _ => 805_306_368,
    }
}

pub(crate) fn group_account_type(kind: i64) -> i64 {
    let base = if kind & 4 != 0 { 536_870_912 } else { 268_435_456 };
    base + i64::from(kind & 0x8000_0000 == 0)
}
