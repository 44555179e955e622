//! Faults and lies, each seen by a client; they know no right answer.

use serde_json::json;
use tenantry_fakes::graph::{Call, Fault, Kind, On, ResetForm, Size, Tenant};
use tenantry_fakes::http::Ending;

use super::Client;

fn client() -> Client {
    let size = Size { users: 1000, groups: 20, members_per_group: 30, ..Size::default() };
    Client::new(Tenant::seeded(4, size))
}

fn lie(client: &Client, fault: Fault) {
    client.tenant.faults().clear();
    client.tenant.faults().on(On::any(), fault);
}

#[test]
fn rows_are_dropped_doubled_and_miscounted() {
    let client = client();
    lie(&client, Fault::DropRows { percent: 30, seed: 1 });
    let kept = client.get("/users?$select=id&$top=900").rows().len();
    assert!((500..750).contains(&kept));
    assert_eq!(client.get("/users?$select=id&$top=900").rows().len(), kept, "the same ones for a seed");
    lie(&client, Fault::DuplicateRows);
    assert_eq!(client.get("/groups").rows().len(), 40);
    lie(&client, Fault::WrongCount(-7));
    assert_eq!(client.get_with("/users/$count", &[("consistencylevel", "eventual")]).body, json!(993));
    lie(&client, Fault::EmptyOk);
    let empty = client.get("/users/delta");
    assert!(empty.status == 200 && empty.rows().is_empty() && empty.link("@odata.deltaLink").is_none());
}

#[test]
fn links_cycle_end_too_early_and_lead_elsewhere() {
    let client = client();
    lie(&client, Fault::CycleNextLink);
    let page = client.get("/users?$select=id");
    assert_eq!(client.get(page.link("@odata.nextLink").unwrap()).ids(), page.ids());
    lie(&client, Fault::EndListing);
    assert!(client.get("/users").link("@odata.nextLink").is_none());
    lie(&client, Fault::ForeignNextLink("https://graph.elsewhere.example".into()));
    let page = client.get("/users");
    assert!(page.link("@odata.nextLink").unwrap().starts_with("https://graph.elsewhere.example/v1.0/users?"));
    lie(&client, Fault::ForeignDeltaLink("https://graph.elsewhere.example".into()));
    let page = client.get("/devices/delta");
    assert!(page.link("@odata.deltaLink").unwrap().starts_with("https://graph.elsewhere.example/v1.0/devices/delta?"));
    lie(&client, Fault::ForeignReset("https://graph.elsewhere.example".into()));
    assert!(client.get("/users/delta").header("location").starts_with("https://graph.elsewhere.example/"));
}

#[test]
fn a_fault_happens_at_its_page_its_call_and_its_number_only() {
    let client = client();
    let faults = client.tenant.faults();
    faults.on(On::call(Call::Users).page(3).times(1), Fault::ExpiredPageToken);
    faults.on(On::call(Call::Groups).nth(2), Fault::Status { status: 503, retry_after: Some("1.5".into()) });
    assert_eq!(faults.pending(), 2);
    let second = client.get("/users").link("@odata.nextLink").unwrap().to_owned();
    let third = client.get(&second).link("@odata.nextLink").unwrap().to_owned();
    assert_eq!(client.get(&third).code(), "Directory_ExpiredPageToken");
    assert_eq!(client.get(&third).status, 200);
    assert_eq!(client.get("/groups").status, 200);
    let refused = client.get("/groups");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1.5"));
    assert_eq!(client.get("/groups").status, 200);
    assert_eq!(faults.pending(), 0);
    faults.on(On::any().from(3), Fault::LoseRights);
    let statuses: Vec<u16> = (0..4).map(|_| client.get("/devices").status).collect();
    assert_eq!(statuses, [200, 200, 403, 403]);
}

#[test]
fn answers_are_spoiled_on_their_way() {
    let client = client();
    lie(&client, Fault::TruncatedJson);
    let answer = client.get("/users");
    assert!(answer.status == 200 && answer.body.is_null());
    lie(&client, Fault::Html { status: 200 });
    assert_eq!(client.get("/users").header("content-type"), "text/html");
    lie(&client, Fault::Error { status: 400, code: "Request_Novelty".into(), message: "new".into() });
    assert_eq!(client.get("/users").code(), "Request_Novelty");
    for (fault, ending) in
        [(Fault::Cut, Ending::CutBefore), (Fault::CutInside, Ending::CutInside), (Fault::Hang, Ending::Never)]
    {
        lie(&client, fault);
        assert_eq!(client.reply(http::Method::GET, "/v1.0/users", &[], "").ending, ending);
    }
    lie(&client, Fault::Reset(ResetForm::StateNotFound));
    assert_eq!(client.get("/groups/delta").code(), "syncStateNotFound");
}

#[test]
fn frozen_listings_lag_behind_while_delta_tells_the_truth() {
    let client = client();
    let link = client.round("/users/delta?$deltatoken=latest").1;
    client.tenant.freeze_listings();
    let new = client.tenant.user("new").create();
    assert_eq!(client.ids("/users?$select=id&$top=999").len(), 1000);
    assert_eq!(client.get(&format!("/users/{new}")).status, 404);
    assert_eq!(client.round(&link).0[0]["id"], json!(new));
    client.tenant.thaw_listings();
    assert_eq!(client.get(&format!("/users/{new}")).status, 200);
}

#[test]
fn members_are_limited_on_request() {
    let client = client();
    let group = client.tenant.nth(Kind::Group, 0);
    lie(&client, Fault::LimitedMembers);
    let rows = client.rows(&format!("/groups/{group}/members"));
    assert!(!rows.is_empty() && rows.iter().all(|row| row["displayName"].is_null() && row["id"].is_string()));
}
