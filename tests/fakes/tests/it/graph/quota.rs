//! The quota in resource units, its headers and its refusals, alone and in batches; it knows no object.

use serde_json::{Value, json};
use tenantry_fakes::graph::{Call, Size, Tenant};

use super::{Client, manual};

fn client() -> Client {
    let size = Size { users: 60, groups: 30, members_per_group: 20, ..Size::default() };
    Client::new(manual(Tenant::seeded(2, size)))
}

/// A client whose bucket holds a tenth of what is published.
fn poor_client() -> Client {
    let client = client();
    client.tenant.edit_settings(|settings| {
        if let Some(quota) = &mut settings.quota {
            quota.tenant_units.units = 500.0;
        }
    });
    client
}

/// How often an address can be asked for before it is refused.
fn until_refused(client: &Client, target: &str) -> usize {
    (0..10_000).take_while(|_| client.get(target).status == 200).count()
}

#[test]
fn a_medium_tenant_gives_five_thousand_units_in_a_burst_and_five_hundred_a_second() {
    let client = client();
    let spent = until_refused(&client, "/users?$top=20");
    assert_eq!(spent, 2500);
    client.tenant.refill_quota();
    client.tenant.edit_settings(|settings| {
        if let Some(quota) = &mut settings.quota {
            quota.count_refused = false;
        }
    });
    while client.get("/users?$select=id&$top=20").status == 200 {}
    client.pass(1);
    let more = until_refused(&client, "/users?$select=id&$top=20");
    assert_eq!(more, 500);
}

#[test]
fn a_refusal_says_how_long_to_wait_and_waiting_so_long_is_enough() {
    let client = poor_client();
    let refused = loop {
        let answer = client.get("/groups?$top=20");
        if answer.status == 429 {
            break answer;
        }
    };
    assert_eq!(refused.code(), "TooManyRequests");
    let wait: f64 = refused.header("retry-after").parse().unwrap();
    assert!(wait > 0.0 && refused.header("retry-after").contains('.'));
    assert!(refused.header("x-ms-throttle-scope").starts_with("Tenant_Application/ReadWrite/"));
    client.tenant.clock().advance(std::time::Duration::from_secs_f64(wait + 0.01));
    assert_eq!(client.get("/groups").status, 200);
    let sums = client.tenant.log().sums();
    assert_eq!(sums.refused, 1);
    assert!(sums.units > 499.0);
}

#[test]
fn units_are_told_and_the_percentage_above_four_fifths() {
    let client = poor_client();
    let first = client.get("/groups?$expand=members");
    assert_eq!((first.header("x-ms-resource-unit"), first.header("x-ms-throttle-limit-percentage")), ("2", ""));
    for _ in 0..420 {
        client.get("/groups?$top=20");
    }
    let percentage: f64 = client.get("/groups").header("x-ms-throttle-limit-percentage").parse().unwrap();
    assert!((0.8..1.0).contains(&percentage));
}

#[test]
fn reports_and_sign_ins_have_lanes_of_their_own() {
    let client = client();
    let report = "/reports/authenticationMethods/userRegistrationDetails";
    assert_eq!(until_refused(&client, report), 5);
    let sign_ins = "/users?$select=id,signInActivity";
    assert_eq!(until_refused(&client, sign_ins), 10);
    assert_eq!(client.get("/users?$select=id").status, 200);
}

#[test]
fn parts_of_a_batch_are_priced_and_refused_by_themselves_and_answered_out_of_order() {
    let client = poor_client();
    let part = |id: usize| json!({ "id": id.to_string(), "method": "GET", "url": "/users?$top=20" });
    let body = json!({ "requests": (0..20).map(part).collect::<Vec<Value>>() });
    let first = client.post("/$batch", &body);
    let responses = first.body["responses"].as_array().unwrap();
    assert_eq!((responses.len(), responses[0]["id"].as_str()), (20, Some("19")));
    let next = responses[0]["body"]["@odata.nextLink"].as_str().unwrap();
    assert_eq!(client.get(next).status, 200, "an inner link is absolute");
    let refused = loop {
        let answer = client.post("/$batch", &body);
        assert_eq!(answer.status, 200, "the envelope is never refused for its parts");
        let refused = |part: &&Value| part["status"] == json!(429);
        if let Some(part) = answer.body["responses"].as_array().unwrap().iter().find(refused) {
            break part.clone();
        }
    };
    assert!(refused["headers"]["Retry-After"].as_str().unwrap().parse::<f64>().is_ok());
    assert_eq!(refused["body"]["error"]["code"], "TooManyRequests");
    assert_eq!(client.tenant.log().of(Call::Users).iter().filter(|line| line.in_batch).count() % 20, 0);
}

#[test]
fn wrong_batches_are_refused_as_a_whole() {
    let client = client();
    let part = |id: &str| json!({ "id": id, "method": "GET", "url": "/users" });
    let many: Vec<Value> = (0..21).map(|id: usize| part(&id.to_string())).collect();
    assert_eq!(client.post("/$batch", &json!({ "requests": many })).status, 400);
    assert_eq!(client.post("/$batch", &json!({ "requests": [part("a"), part("A")] })).status, 400);
    let after = json!({ "id": "2", "method": "GET", "url": "/users", "dependsOn": ["1"] });
    let missing = json!({ "id": "1", "method": "GET", "url": "/users/nobody" });
    let answer = client.post("/$batch", &json!({ "requests": [missing, after] }));
    assert_eq!(answer.body["responses"][0]["status"], json!(424));
}
