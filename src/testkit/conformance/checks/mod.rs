//! Every check with the behaviour that it tries. A test holds this table against the docs, line by line.

mod actor;
mod agreement;
mod calls;
mod coverage;
mod delta;
mod lookup;
mod members;
mod paging;
mod resuming;
mod snapshot;
mod trouble;

use super::Check;

macro_rules! checks {
    ($($part:ident::$check:ident, $item:literal, $behaviour:literal, $remedy:literal;)+) => {
        /// Every check, in the order of the contract.
        pub const ALL: &[Check] = &[$(Check {
            name: concat!(stringify!($part), "::", stringify!($check)),
            item: $item,
            behaviour: $behaviour,
            remedy: $remedy,
            run: |stage| Box::pin($part::$check(stage)),
        }),+];
    };
}

checks! {
    calls::obey_cancellation, "Endpoint",
        "Once the caller wants to stop, a call ends with an error of kind `Cancelled`, and a pager does so at its next page.",
        "make every request through `cx.gate()`, and call `cx.check_cancelled()?` where none is made";
    calls::tell_an_outage, "Endpoint",
        "A server that cannot be reached, or that says to come later, is an error of kind `Unavailable`, `Throttled` or `Concurrency`.",
        "map refused, broken and timed out connections to `ErrorKind::Unavailable` with `Retry::Backoff`";
    calls::show_no_secret, "Endpoint",
        "No credential, cursor or checkpoint is in `Debug`, in an error, or in what a check tells.",
        "keep credentials in `Secret`, derive no `Debug` over bytes of cursors, and never put a provider's request or its text into an error";
    calls::info_is_constant, "Endpoint::info",
        "Needs no network and always returns the same.",
        "build the info when the endpoint is made";
    calls::limits_are_constant, "Endpoint::limits",
        "Tells the same limits always, without the network.",
        "make them from the configuration; what the server reports about a quota goes to the `Attempt` of a call";

    coverage::is_equal_from_every_server, "Endpoint::coverage",
        "The same directory seen with the same rights and filters gives an equal value, whichever of its servers answers.",
        "leave names, versions and counters of servers out of it";
    coverage::ignores_what_is_there, "Endpoint::coverage",
        "Who comes and goes in the directory changes nothing of the value.",
        "read rights from something that is always there, and put no counts into it";
    coverage::knows_another_directory, "Endpoint::coverage",
        "Another directory, tenant or domain gives another `identity`, also where it has the same name.",
        "take the directory's immutable id for its identity, never its name or address";
    coverage::shows_a_withdrawn_right, "Endpoint::coverage",
        "A right that was withdrawn gives an unequal value.",
        "probe each right that decides what is listed, and put those that are there into `rights`";
    coverage::shows_a_right_lost_on_the_way, "Endpoint::coverage",
        "A right that is lost while a listing runs shows in the value that is read behind it, unless the listing failed or left open what it could not read.",
        "read the coverage from the server at every call; keep nothing of an earlier one";
    coverage::shows_a_changed_filter, "Endpoint::coverage",
        "A filter that was changed gives an unequal value.",
        "put every setting that decides what is listed into `filters`";

    calls::verify_changes_nothing, "Endpoint::verify",
        "Changes nothing, neither here nor there.",
        "only read in `verify`";
    calls::verify_tries_a_wrong_password_once, "Endpoint::verify",
        "A wrong password is tried once.",
        "map refused credentials to `ErrorKind::Unauthenticated` with `Retry::Never`, and try no other server with them";

    snapshot::lists_every_object, "Endpoint::snapshot",
        "Every object in scope comes on at least one page; one that changes while it is listed may come twice.",
        "list every container and every kind to its last page, and key objects by the directory's immutable id";
    snapshot::leaves_out_what_is_out_of_scope, "Endpoint::snapshot",
        "What lies outside of base and filter does not come.",
        "list below the base and with the filter";
    snapshot::lists_every_member, "Endpoint::snapshot",
        "Every direct member of a listed group comes in its `Edges`, also one that is not listed itself.",
        "read members to their last page or range";
    snapshot::names_primary_groups, "Endpoint::snapshot",
        "The group that an object names as its primary one is in the object's patch.",
        "set `Patch::primary_group`";
    snapshot::keeps_ids, "Endpoint::snapshot",
        "Renamed, moved or given another address, an object keeps its source id.",
        "take the directory's immutable id as source id; `SourceId::address` where there is none";
    snapshot::tells_no_value_as_empty, "Endpoint::snapshot",
        "An attribute that was read and has no value is `Value::Empty`.",
        "set what was asked for and did not come with `Value::text(None)`";
    snapshot::leaves_out_what_was_not_read, "Endpoint::snapshot",
        "An attribute that was not read is left out of the patch.",
        "do not set attributes that the account may not read";
    snapshot::sets_aside_what_it_cannot_understand, "Endpoint::snapshot",
        "A record that cannot be understood is quarantined, with its id where that can be read; everything else comes.",
        "put it into `quarantined` instead of skipping it or failing";
    snapshot::fits_the_shapes, "Endpoint::snapshot",
        "An attribute that the contract names holds only what `names::shape` allows.",
        "set kinds and states from the enums of `model` (`UserKind::Person`), texts, lists and truths as they are named; everything else is `AttributeName::extra`";
    snapshot::closes_each_scope_once, "Endpoint::snapshot",
        "A scope is closed once, and nothing of it comes behind that page.",
        "close a kind with its last page, and a group's members with their last part";
    trouble::nothing_is_closed_after_an_error, "Endpoint::snapshot",
        "A scope is closed only when its last page was read from the server without an error.",
        "close where the server said that there is no more, and nowhere else";
    trouble::what_may_not_be_read_is_told, "Endpoint::snapshot",
        "A scope that the account may not read is told as unreadable and is not closed.",
        "tell an empty list from one that may not be read, and put the latter into `unreadable`";
    trouble::a_broken_listing_is_an_error, "Endpoint::snapshot",
        "A listing that cannot go on is an error, never an end.",
        "return every error with `?`; give `End` only behind the last page";
    trouble::changes_beside_lose_nothing, "Endpoint::snapshot",
        "Objects that nobody touches come, whatever else changes while the listing runs.",
        "go on by ids or the server's tokens, never by counting rows";
    resuming::goes_on_behind_every_checkpoint, "Endpoint::snapshot",
        "Behind a checkpoint come exactly the objects that did not come before it.",
        "make the checkpoint of a page from what came with it, not from what was read ahead";
    resuming::refuses_an_unusable_checkpoint, "Endpoint::snapshot",
        "A checkpoint that can no longer be used is an error of kind `Conflict`: the engine then begins anew.",
        "put the id of the directory into every checkpoint, and compare it, the version and the bytes in `snapshot`, before the first page";
    resuming::takes_the_cursor_before_the_data, "Endpoint::snapshot",
        "Where there are deltas, the end tells a cursor from before the first page: what changes while the listing runs comes behind it.",
        "take the cursor in `snapshot`, keep it, and give it with `End`";
    resuming::tells_the_first_cursor, "Endpoint::snapshot",
        "The end of a listing that went on behind a checkpoint tells the cursor of its first beginning.",
        "put the cursor into every checkpoint, and give that one with `End` instead of a fresh one";

    paging::goes_on_at_empty_pages, "SnapshotPager::next",
        "Goes on at empty pages.",
        "end where the server says so, not where a page has nothing on it";
    paging::repeated_pages_are_an_error, "SnapshotPager::next",
        "A page that comes again and again, or a token that runs in a circle, is an error.",
        "remember the token or page before, and fail with `ErrorKind::Protocol` where it comes again";
    paging::loses_nothing_after_an_error, "SnapshotPager::next",
        "Called again after an error, it fails again or leaves nothing out.",
        "advance only when a page has come";

    paging::id_listing_shows_what_a_snapshot_shows, "Endpoint::id_listing",
        "Every object of a snapshot taken at the same moment is on its pages, and no other; it closes the same kinds.",
        "list ids with the same base, filters and kinds as a snapshot";
    paging::id_listing_has_no_bodies, "Endpoint::id_listing",
        "Its patches have no attributes, and its pages no memberships.",
        "ask for ids only";
    trouble::a_broken_id_listing_is_an_error, "Endpoint::id_listing",
        "An id listing that cannot go on is an error, never an end.",
        "return every error with `?`";

    lookup::answers_in_the_order_asked, "Endpoint::lookup",
        "Answers for each id, in the order asked.",
        "collect what the server gives by id, then answer by iterating over what was asked";
    lookup::finds_what_is_there, "Endpoint::lookup",
        "An object that exists and is in scope is `Presence::Present`; with its patch where that costs nothing.",
        "ask by the same ids that the listing gave, and read patches by the same function";
    lookup::tells_another_address, "Endpoint::lookup",
        "One that is known by an address and has another one by now is `Presence::Renamed`, with the new id in its patch; never one with an immutable id.",
        "answer with the patch of whoever the old address leads to, under the id that a listing would give now";
    lookup::tells_moved_from_gone, "Endpoint::lookup",
        "One that exists outside of base or filter is `Presence::OutOfScope`.",
        "look up in the whole directory, then ask whether base and filter hold it";
    lookup::calls_gone_what_is_gone, "Endpoint::lookup",
        "`Presence::Gone` only with evidence: a tombstone, or the directory's statement that there is no such id.",
        "read tombstones, or take the server's code for an id that does not exist";
    lookup::does_not_call_gone_what_is_hidden, "Endpoint::lookup",
        "When in doubt, or when the rights do not let gone be told from hidden: `Presence::Unknown`.",
        "answer unknown where a hidden object would look the same";
    lookup::guesses_nothing_in_an_outage, "Endpoint::lookup",
        "A look-up that fails is an error, or unknown for the objects that it concerns.",
        "return the error";

    members::answers_in_the_order_asked, "Endpoint::check_members",
        "Answers for each member, in the order asked.",
        "collect what the server gives by id, then answer by iterating over what was asked";
    members::asks_anew, "Endpoint::check_members",
        "Asks the directory anew, where it can by another way than the listing: the member's own groups, a count, a single check; else by reading the group's members once more.",
        "keep no members from a listing";
    members::says_unknown_in_doubt, "Endpoint::check_members",
        "When in doubt: `Membership::Unknown`.",
        "answer `NotMember` only where the whole list of members, or the member's own groups, could be read";

    delta::takes_garbage_as_expired, "DeltaEndpoint::delta",
        "A cursor that is unreadable or of another version is the step `DeltaStep::CursorExpired`, not an error.",
        "give a pager whose only step is `CursorExpired`";
    delta::takes_a_foreign_cursor_as_expired, "DeltaEndpoint::delta",
        "A cursor of another directory is the step `DeltaStep::CursorExpired`, too.",
        "put the id of the directory, and of its server where that counts, into the cursor, and compare it";
    delta::takes_an_old_cursor_as_expired, "DeltaEndpoint::delta",
        "A cursor that the directory has forgotten is the step `DeltaStep::CursorExpired`, too.",
        "map the server's code for it to `CursorExpired`";
    delta::tells_what_is_new_or_changed, "DeltaEndpoint::delta",
        "Every object that is new, changed or restored comes, at least with what changed.",
        "ask for changes of every kind that is listed";
    delta::tells_memberships, "DeltaEndpoint::delta",
        "Every membership that began or ended comes, by itself or with a group whose members are listed whole and closed; of a member that was deleted or restored its groups need not tell.",
        "read the members of every group that changed";
    delta::tells_what_is_gone, "DeltaEndpoint::delta",
        "What is gone comes as a tombstone, where `tells_removals` says so.",
        "read tombstones, or return `false` from `tells_removals`";
    delta::tells_moved_from_gone, "DeltaEndpoint::delta",
        "What left base or filter is never a tombstone: it exists.",
        "put it into `out_of_scope`";
    delta::loses_nothing_while_it_is_read, "DeltaEndpoint::delta",
        "What changed while the delta is read comes in this one or in the next, never in neither.",
        "take the next cursor before the first page of changes is read";
    delta::tells_the_last_word_last, "DeltaEndpoint::delta",
        "Statements come in the order in which they became true; of several on one object the last one counts.",
        "give changes in the directory's own order, or say of each object only how it is now";
    delta::a_new_group_comes_whole, "DeltaEndpoint::delta",
        "A group that comes into scope comes with all of its members, and its scope of members is closed.",
        "read the members of every group that was not there before";
    delta::closes_no_kind, "DeltaEndpoint::delta",
        "No kind is closed, and the members of a group only where all of them are in this delta.",
        "close nothing but `Scope::Members`, behind a whole list";
    delta::agrees_with_a_snapshot, "DeltaEndpoint::delta",
        "Applied to what a snapshot showed, the changes give what a snapshot of now shows.",
        "where a value differs, read it by one function for listing and delta; where an object or membership is there on one side only, tell who comes, who leaves the scope, and the members of every group that changed";
    delta::sets_aside_what_it_cannot_understand, "DeltaEndpoint::delta",
        "A record that is new or changed and cannot be understood is quarantined, with its id where that can be read.",
        "put it into `quarantined` of the delta's page, as the listing does, instead of skipping it";
    delta::a_broken_delta_is_an_error, "DeltaEndpoint::delta",
        "A delta that cannot go on is an error, never caught up.",
        "return every error with `?`";
    delta::knows_without_the_network_how_fresh_it_is, "DeltaEndpoint::freshness",
        "Knows it without the network.",
        "keep in the cursor what it takes to tell it";
    delta::knows_without_the_network_what_it_tells, "DeltaEndpoint::tells_removals",
        "Knows it without the network.",
        "decide by the coverage that is handed over";
    delta::tells_removals_only_by_right, "DeltaEndpoint::tells_removals",
        "Says `false` under a coverage that lacks a right by which tombstones are read.",
        "look into `coverage.rights` for the right to read tombstones, and return `false` where it is missing";
    delta::repeated_pages_are_an_error, "DeltaPager::next",
        "A page of changes that comes again and again is an error.",
        "remember the token before, and fail with `ErrorKind::Protocol` where it comes again";

    actor::knows_without_the_network_what_it_offers, "Actor::offers",
        "Needs no network and always returns the same.",
        "decide by action and kind alone";
    actor::begin_changes_nothing, "Actor::begin",
        "Changes nothing there.",
        "only read in `begin`";
    actor::begin_tells_what_concerns_every_account, "Actor::begin",
        "What would keep every account from being changed is an error here: nobody answers, the password is wrong, the server takes no changes. A wrong password is tried once.",
        "sign in and read something in `begin`";
    actor::touches_nothing_else, "Actor::act",
        "Touches nothing but what the action names.",
        "write the single flag, and only if it is still what was read";
    actor::twice_is_once, "Actor::act",
        "Doing it twice is the same as doing it once.",
        "read first, and answer `AlreadySo`";
    actor::leaves_alone_what_is_not_its_own, "Actor::act",
        "What is not to be touched by anybody's mistake is `ActionOutcome::Refused` before anything is sent: accounts of the system, protected ones, the account that the endpoint itself uses, everything that it does not import.",
        "read the account as a listing does, and refuse what a listing would leave out";
    actor::a_refusal_is_no_error, "Actor::act",
        "What the remote refuses for this account is `ActionOutcome::Refused` with the remedy; an error is for what concerns every account.",
        "map missing rights on the account to `Refused`";
    actor::reads_back_what_it_did, "Actor::act",
        "`Done` is read back from the server that was written to.",
        "read the account again, and fail where it is as it was";
    actor::a_cancellation_tells_whether_something_was_sent, "Actor::act",
        "`Cancelled` means that nothing was sent. Who is cancelled later, while a change is under way, returns another error, which says that the change may have been made.",
        "note when the change is put on the way, and return another kind from then on";
}
