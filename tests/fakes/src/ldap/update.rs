//! Answers writes with Active Directory's special rules; it knows no socket.

use std::collections::BTreeMap;

use super::controls::Controls;
use super::directory::change::{Draft, account_type, group_account_type};
use super::directory::state::{Id, Refusal, State, Value};
use super::directory::{bury_tree, state::Life};
use super::dn::Dn;
use super::ids::Guid;
use super::message::{Change, Values};
use super::schema;
use super::search::{find_base, no_object};
use super::view::{Overlay, View};

/// Bits of userAccountControl that are accepted and not kept.
const COMPUTED_BITS: i64 = 0x10 | 0x80_0000;

/// Who writes, and over what.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) who: Option<Id>,
    pub(crate) secure: bool,
    pub(crate) controls: &'a Controls,
}

fn no_rights() -> Refusal {
    Refusal::new(50, "00002098: SecErr: DSID-031514A0, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n")
}

fn will_not(code: &str) -> Refusal {
    Refusal::new(53, format!("{code}: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n"))
}

fn attribute_error(code: u32, number: &str, problem: &str, name: &str) -> Refusal {
    let text = format!(
        "{number}: AtrErr: DSID-03153367, #1:\n\t0: {number}: DSID-03153367, problem {problem}, data 0, Att ({name})\n"
    );
    Refusal::new(code, text)
}

#[derive(Debug, Default)]
struct Plan {
    plain: BTreeMap<String, Vec<Value>>,
    links: Vec<(String, Guid, bool)>,
    password: Option<String>,
}

impl Writer<'_> {
    /// Finds the entry and checks that the account may see it and write these attributes.
    fn target(&self, dn: &str, attributes: &[&str]) -> Result<Id, Refusal> {
        if self.who.is_none() {
            return Err(Refusal::new(
                1,
                "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563",
            ));
        }
        let id = find_base(self.state, dn)?;
        let mut view = View::new(self.state, self.who, &Overlay::default());
        view.deleted = self.controls.show_deleted;
        view.recycled = self.controls.show_recycled;
        if !view.shows(id) {
            return Err(no_object(self.state, None));
        }
        if attributes.iter().all(|name| view.may_write(name)) { Ok(id) } else { Err(no_rights()) }
    }

    pub(crate) fn modify(&mut self, dn: &str, changes: &[(Change, String, Values)]) -> Result<(), Refusal> {
        let names: Vec<&str> = changes.iter().map(|(_, name, _)| name.as_str()).collect();
        let id = self.target(dn, &names)?;
        let is = |kind: Change, wanted: &str| {
            changes.iter().find(|(found, name, _)| *found == kind && name.eq_ignore_ascii_case(wanted))
        };
        if self.state.entry(id).life != Life::Live {
            let Some((_, _, values)) = is(Change::Delete, "isDeleted").and(is(Change::Replace, "distinguishedName"))
            else {
                return Err(will_not("0000200D"));
            };
            return self.reanimate(id, values);
        }
        let mut plan = Plan::default();
        for (kind, name, values) in changes {
            self.plan_change(id, &mut plan, *kind, name, values)?;
        }
        self.finish(id, &mut plan)?;
        self.commit(id, plan);
        Ok(())
    }

    fn reanimate(&mut self, id: Id, values: &[Value]) -> Result<(), Refusal> {
        let text = values.first().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
        let dn = Dn::parse(&text).filter(|dn| !dn.0.is_empty()).ok_or_else(|| will_not("0000208F"))?;
        let parent = self.state.resolve(&dn.parent()).map_err(|best| no_object(self.state, best))?;
        self.state.revive(id, dn.0[0].clone(), parent)
    }

    fn plan_change(
        &mut self,
        id: Id,
        plan: &mut Plan,
        kind: Change,
        name: &str,
        values: &Values,
    ) -> Result<(), Refusal> {
        let lower = name.to_lowercase();
        let rdn = self.state.entry(id).rdn.attribute.clone();
        if lower.eq_ignore_ascii_case(&rdn) || lower == "name" {
            return Err(Refusal::new(67, "00002016: UpdErr: DSID-031A1213, problem 6004 (CANT_ON_RDN), data 0\n"));
        }
        if lower == "unicodepwd" {
            return self.plan_password(id, plan, kind, values);
        }
        if schema::is_system(&lower) {
            return Err(attribute_error(19, "000020B1", "1005 (CONSTRAINT_ATT_TYPE)", name));
        }
        if schema::is_link(&lower) {
            return self.plan_links(id, plan, kind, &lower, values);
        }
        let mut now = match plan.plain.get(&lower) {
            Some(values) => values.clone(),
            None => self.state.entry(id).plain(&lower).to_vec(),
        };
        match kind {
            Change::Replace => now.clone_from(values),
            Change::Add => {
                for value in values {
                    if now.iter().any(|known| same(&lower, known, value)) {
                        if self.controls.permissive {
                            continue;
                        }
                        return Err(attribute_error(20, "00002083", "1006 (ATT_OR_VALUE_EXISTS)", name));
                    }
                    now.push(value.clone());
                }
            }
            Change::Delete if values.is_empty() => {
                if now.is_empty() && !self.controls.permissive {
                    return Err(attribute_error(16, "00002085", "1001 (NO_ATTRIBUTE_OR_VAL)", name));
                }
                now.clear();
            }
            Change::Delete => {
                for value in values {
                    match now.iter().position(|known| same(&lower, known, value)) {
                        Some(at) => drop(now.remove(at)),
                        None if self.controls.permissive => {}
                        None => return Err(attribute_error(16, "00002085", "1001 (NO_ATTRIBUTE_OR_VAL)", name)),
                    }
                }
            }
            Change::Other => {
                return Err(Refusal::new(2, "00000057: LdapErr: DSID-0C0C0A5B, comment: unknown kind of change"));
            }
        }
        plan.plain.insert(lower, now);
        Ok(())
    }

    /// Checks what all changes together would leave: between a delete and an add there may be nothing.
    fn finish(&self, id: Id, plan: &mut Plan) -> Result<(), Refusal> {
        let mut kinds = Vec::new();
        for (lower, now) in &mut plan.plain {
            let name = self.state.shown(lower);
            if now.len() > 1 && schema::is_single(lower) {
                return Err(attribute_error(19, "00002081", "1005 (CONSTRAINT_ATT_TYPE)", name));
            }
            *now = self.special(id, lower, name, std::mem::take(now))?;
            let number = now.first().and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
            match (lower.as_str(), number) {
                ("useraccountcontrol", Some(control)) => kinds.push(account_type(control)),
                ("grouptype", Some(kind)) => kinds.push(group_account_type(kind)),
                _ => {}
            }
        }
        for kind in kinds {
            plan.plain.insert("samaccounttype".into(), vec![kind.to_string().into_bytes()]);
        }
        Ok(())
    }

    /// Applies the rules of single attributes to the values that a change would leave.
    fn special(&self, id: Id, lower: &str, name: &str, now: Vec<Value>) -> Result<Vec<Value>, Refusal> {
        let text = now.first().map(|value| String::from_utf8_lossy(value).into_owned());
        let number = || text.as_deref().and_then(|text| text.parse::<i64>().ok());
        match lower {
            "useraccountcontrol" => {
                let bits =
                    number().ok_or_else(|| attribute_error(21, "00000057", "1005 (CONSTRAINT_ATT_TYPE)", name))?;
                Ok(vec![(bits & !COMPUTED_BITS).to_string().into_bytes()])
            }
            "lockouttime" if number() != Some(0) && text.is_some() => Err(will_not("00000057")),
            "pwdlastset" => match number() {
                Some(0) => Ok(now),
                Some(-1) => Ok(vec![self.state.clock.now().to_string().into_bytes()]),
                _ => Err(will_not("00000057")),
            },
            "samaccountname" => {
                let taken = text.and_then(|text| self.state.by_account.get(&text.to_lowercase()).copied());
                match taken {
                    Some(other) if other != id => {
                        Err(Refusal::new(68, "00000524: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS), data 0\n"))
                    }
                    _ => Ok(now),
                }
            }
            _ if schema::syntax(lower) == schema::Syntax::Integer && text.is_some() && number().is_none() => {
                Err(attribute_error(21, "00000057", "1005 (CONSTRAINT_ATT_TYPE)", name))
            }
            _ => Ok(now),
        }
    }

    fn plan_links(
        &mut self,
        id: Id,
        plan: &mut Plan,
        kind: Change,
        lower: &str,
        values: &Values,
    ) -> Result<(), Refusal> {
        let mut targets = Vec::new();
        for value in values {
            targets.push(self.state.link_target(&String::from_utf8_lossy(value), false)?);
        }
        let known = self.state.entry(id).links.get(lower);
        let mut now: Vec<Guid> = known.map(|set| set.present().collect()).unwrap_or_default();
        for (name, guid, add) in plan.links.iter().filter(|(name, ..)| name == lower) {
            debug_assert_eq!(name, lower, "only the changes of this link count");
            if *add {
                now.push(*guid);
            } else {
                now.retain(|known| known != guid);
            }
        }
        let mut change = |guid: Guid, add: bool| plan.links.push((lower.to_owned(), guid, add));
        match kind {
            Change::Add => {
                for guid in targets {
                    match (now.contains(&guid), self.controls.permissive) {
                        (false, _) => change(guid, true),
                        (true, true) => {}
                        (true, false) => {
                            return Err(Refusal::new(
                                68,
                                "00000562: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS), data 0\n",
                            ));
                        }
                    }
                }
            }
            Change::Delete if targets.is_empty() => now.into_iter().for_each(|guid| change(guid, false)),
            Change::Delete => {
                for guid in targets {
                    match (now.contains(&guid), self.controls.permissive) {
                        (true, _) => change(guid, false),
                        (false, true) => {}
                        (false, false) => return Err(will_not("00000561")),
                    }
                }
            }
            Change::Replace => {
                now.iter().filter(|guid| !targets.contains(guid)).for_each(|guid| change(*guid, false));
                targets.iter().filter(|guid| !now.contains(guid)).for_each(|guid| change(*guid, true));
            }
            Change::Other => {
                return Err(Refusal::new(2, "00000057: LdapErr: DSID-0C0C0A5B, comment: unknown kind of change"));
            }
        }
        let single = schema::is_single(lower);
        let left = now_after(plan, lower, self.state, id);
        if single && left > 1 {
            Err(attribute_error(19, "00002081", "1005 (CONSTRAINT_ATT_TYPE)", lower))
        } else {
            Ok(())
        }
    }

    fn plan_password(&mut self, id: Id, plan: &mut Plan, kind: Change, values: &Values) -> Result<(), Refusal> {
        if !self.secure {
            return Err(will_not("0000001F"));
        }
        let read = |value: &Value| {
            let units: Vec<u16> = value.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            let text = String::from_utf16(&units).ok().filter(|_| value.len().is_multiple_of(2))?;
            Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned())
        };
        let password = values.first().and_then(read).ok_or_else(|| will_not("0000001F"))?;
        if kind == Change::Delete {
            // The old password before the new one: a user's own change.
            let known = self.state.account(id).password.clone();
            let wrong = Refusal::new(
                19,
                "00000056: AtrErr: DSID-03190F80, #1:\n\t0: 00000056: DSID-03190F80, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n",
            );
            return if known.as_deref() == Some(password.as_str()) { Ok(()) } else { Err(wrong) };
        }
        let least = self.state.entry(Id::ROOT).number("minpwdlength").unwrap_or(0);
        if i64::try_from(password.chars().count()).unwrap_or(i64::MAX) < least {
            return Err(Refusal::new(19, "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n"));
        }
        plan.password = Some(password);
        Ok(())
    }

    fn commit(&mut self, id: Id, plan: Plan) {
        let usn = self.state.touch(id);
        for (name, values) in plan.plain {
            if self.state.entry(id).plain(&name) != values.as_slice() {
                self.state.store(id, &name, values, usn);
            }
        }
        for (name, guid, add) in plan.links {
            if add {
                self.state.link(id, &name, guid, usn);
            } else {
                self.state.unlink(id, &name, guid, usn);
            }
        }
        if let Some(password) = plan.password {
            self.state.account(id).password = Some(password);
            let now = self.state.clock.now().to_string();
            self.state.store(id, "pwdLastSet", vec![now.into_bytes()], usn);
        }
    }

    pub(crate) fn add(&mut self, dn: &str, attributes: &[(String, Values)]) -> Result<(), Refusal> {
        let name = Dn::parse(dn).filter(|dn| !dn.0.is_empty()).ok_or_else(|| will_not("0000208F"))?;
        let parent = self.target(&name.parent().to_string(), &["objectClass"])?;
        let mut draft = Draft::default();
        let (mut members, mut password) = (Vec::new(), None);
        for (attribute, values) in attributes {
            let lower = attribute.to_lowercase();
            if lower == "unicodepwd" {
                password = Some(values.clone());
            } else if schema::is_link(&lower) {
                for value in values {
                    members.push((lower.clone(), self.state.link_target(&String::from_utf8_lossy(value), false)?));
                }
            } else if schema::is_system(&lower)
                && !matches!(lower.as_str(), "name" | "distinguishedname" | "instancetype")
            {
                return Err(attribute_error(19, "000020B1", "1005 (CONSTRAINT_ATT_TYPE)", attribute));
            } else if lower != "name" && lower != "distinguishedname" {
                draft.set(attribute, values.clone());
            }
        }
        // Without a password a new user is disabled and needs none.
        let classes = draft.get("objectClass").unwrap_or_default();
        let is = |class: &str| classes.iter().any(|value| value.eq_ignore_ascii_case(class.as_bytes()));
        if is("user") && !is("computer") && draft.get("userAccountControl").is_none() {
            draft.text("userAccountControl", "546");
        }
        let mut plan = Plan::default();
        if let Some(values) = password {
            // The rules for passwords need no entry but a limit of the domain.
            self.plan_password(Id::ROOT, &mut plan, Change::Replace, &values)?;
        }
        let id = self.state.create(parent, name.0[0].clone(), draft)?;
        let usn = self.state.usn;
        for (attribute, guid) in members {
            self.state.link(id, &attribute, guid, usn);
        }
        if plan.password.is_some() {
            self.state.account(id).password = plan.password;
        }
        Ok(())
    }

    pub(crate) fn delete(&mut self, dn: &str) -> Result<(), Refusal> {
        let id = self.target(dn, &["isDeleted"])?;
        if self.controls.tree_delete { bury_tree(self.state, id) } else { self.state.bury(id) }
    }

    pub(crate) fn rename(&mut self, dn: &str, rdn: &str, parent: Option<&str>) -> Result<(), Refusal> {
        let id = self.target(dn, &["name"])?;
        let name = Dn::parse(rdn).filter(|dn| dn.0.len() == 1).ok_or_else(|| will_not("0000208F"))?;
        let parent = parent.map(|parent| self.target(parent, &["name"])).transpose()?;
        let mut rdn = name.0[0].clone();
        let known = self.state.entry(id).rdn.attribute.clone();
        if !rdn.attribute.eq_ignore_ascii_case(&known) {
            return Err(Refusal::new(64, "00002073: UpdErr: DSID-031A0F5D, problem 6001 (NAMING_VIOLATION), data 0\n"));
        }
        rdn.attribute = known;
        self.state.rename(id, rdn, parent)
    }
}

fn same(lower: &str, left: &[u8], right: &[u8]) -> bool {
    left == right || (schema::syntax(lower) != schema::Syntax::Octets && left.eq_ignore_ascii_case(right))
}

fn now_after(plan: &Plan, lower: &str, state: &State, id: Id) -> usize {
    let known = state.entry(id).links.get(lower);
    let mut now: std::collections::HashSet<Guid> = known.map(|set| set.present().collect()).unwrap_or_default();
    for (_, guid, add) in plan.links.iter().filter(|(name, ..)| name == lower) {
        if *add {
            now.insert(*guid)
        } else {
            now.remove(guid)
        };
    }
    now.len()
}
