//! Answers binds with the codes of a domain controller; it knows no socket.

use super::directory::state::{Id, Refusal, State};
use super::search::find_base;

/// Who is bound after a bind; `None` is the anonymous one.
pub(crate) fn bind(
    state: &mut State,
    name: &str,
    password: Option<&str>,
    must_have_tls: bool,
) -> Result<Option<Id>, Refusal> {
    let Some(password) = password else {
        return Err(Refusal::new(
            7,
            "00000057: LdapErr: DSID-0C09056D, comment: this method is not offered, data 0, v4563",
        ));
    };
    // A name without a password is nobody, and that is a success.
    if password.is_empty() {
        return Ok(None);
    }
    if must_have_tls {
        return Err(Refusal::new(
            8,
            "00002028: LdapErr: DSID-0C090256, comment: The server requires binds to turn on integrity checking if SSL\\TLS are not already active on the connection, data 0, v4563",
        ));
    }
    let id = account(state, name).ok_or_else(|| refused("525"))?;
    state.log_on(id, password).map_err(refused)?;
    Ok(Some(id))
}

fn refused(data: &str) -> Refusal {
    Refusal::new(
        49,
        format!("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v2580"),
    )
}

fn account(state: &State, name: &str) -> Option<Id> {
    let known = |account: &str| state.by_account.get(&account.to_lowercase()).copied();
    if name.contains('=') {
        let id = find_base(state, name).ok()?;
        return state.entry(id).text("useraccountcontrol").map(|_| id);
    }
    if let Some((domain, account)) = name.split_once('\\') {
        return if domain.eq_ignore_ascii_case(&state.netbios) { known(account) } else { None };
    }
    let (prefix, suffix) = name.split_once('@')?;
    let is_named = |id: &Id| {
        let upn = state.entry(*id).text("userprincipalname");
        upn.is_some_and(|upn| upn.to_lowercase() == name.to_lowercase())
    };
    let explicit = state.by_account.values().copied().find(is_named);
    // Every account has a second, implicit name in the domain.
    explicit.or_else(|| if suffix.eq_ignore_ascii_case(&state.root_dn().dns_name()) { known(prefix) } else { None })
}
