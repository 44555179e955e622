//! Writes and what refuses them; they know no listing.

use serde_json::json;
use tenantry_fakes::graph::Tenant;

use super::Client;

#[test]
fn an_account_is_disabled_by_who_may_and_where_it_is_mastered() {
    let tenant = Tenant::new("tenant.example");
    let ann = tenant.user("ann").create();
    let synced = tenant.user("bob").synced("bob").create();
    let admin = tenant.user("root").admin().create();
    let client = Client::new(tenant);
    let off = json!({ "accountEnabled": false });
    let disable = |id| client.patch(&format!("/users/{id}"), &off);
    assert_eq!(disable(ann).code(), "Authorization_RequestDenied");
    client.tenant.grant("User.EnableDisableAccount.All");
    assert_eq!(disable(ann).status, 204);
    assert_eq!(client.tenant.value(ann, "accountEnabled"), json!(false));
    assert_eq!((disable(synced).status, disable(synced).code()), (400, "Request_BadRequest"));
    assert_eq!(disable(admin).status, 403);
    assert_eq!(client.patch("/users/nobody", &off).status, 404);
    let delta = client.round("/users/delta").0;
    assert!(delta.iter().any(|row| row["id"] == json!(ann)));
}

#[test]
fn a_new_password_is_forced_and_sessions_end() {
    let tenant = Tenant::new("tenant.example");
    let ann = tenant.user("ann").create();
    tenant.grant("User-PasswordProfile.ReadWrite.All");
    let client = Client::new(tenant);
    let force = json!({ "passwordProfile": { "forceChangePasswordNextSignIn": true } });
    assert_eq!(client.patch(&format!("/users/{ann}"), &force).status, 204);
    assert!(client.tenant.must_change_password(ann));
    let revoke = format!("/users/{ann}/revokeSignInSessions");
    assert_eq!(client.post(&revoke, &json!({})).status, 403);
    client.tenant.grant("User.RevokeSessions.All");
    assert_eq!(client.post(&revoke, &json!({})).body["value"], json!(true));
    client.tenant.edit_settings(|settings| settings.revoke_without_content = true);
    assert_eq!(client.post(&revoke, &json!({})).status, 204);
    assert!(client.tenant.value(ann, "signInSessionsValidFromDateTime").is_string());
}
