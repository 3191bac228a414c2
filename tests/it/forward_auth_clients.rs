//! What clients put into requests that another proxy asks about, and would hand on to the app as it is.

use crate::forward_auth::{FORMS, Form, check, world};
use crate::support::{proxy, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_reads_like_one_of_ours_gets_no_permit() {
    let world = proxy()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .section("[[route]]\npath = \"/open/*\"\naccess = \"public\"\n")
        .section("[headers]\n\"X-Team\" = \"custom_data.team\"")
        .start()
        .await;
    for form in FORMS {
        // Other proxies take headers out by their names; what only reads like one stays.
        for name in [
            "X_User_Sub",
            "X.User.Sub",
            "X-User_Sub",
            "x-user.roles",
            "X!User~Sub",
            "X_Client_Id",
            "X.Client.Id",
            "Remote_User",
            "X_Forwarded_User",
            "X_Team",
            "X.Team",
        ] {
            let reply = check(&world, form, "GET", "/open/x", &[(name, "root")]).await;
            assert_eq!(reply.status, 403, "{form:?} {name}: {reply:?}");
        }
        for name in ["X-User-Sub", "X-Team", "X-Client-Id", "X_Trace_Id", "X.Y"] {
            let reply = check(&world, form, "GET", "/open/x", &[(name, "root")]).await;
            assert_eq!(reply.status, 200, "{form:?} {name}: {reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_to_anything_but_a_websocket_gets_no_permit() {
    let world = world().await;
    for form in FORMS {
        for fields in [
            &[("Connection", "Upgrade"), ("Upgrade", "h2c")][..],
            &[("Upgrade", "H2C")],
            &[("Upgrade", "websocket, h2c")],
            &[("Upgrade", "h2c"), ("Upgrade", "websocket")],
            &[("Upgrade", "websocket"), ("Upgrade", "websocket")],
            &[("Upgrade", "TLS/1.0")],
            // Many a peer takes `Upgrade` out of its question and sends it to the app all the same.
            &[("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")],
        ] {
            let reply = check(&world, form, "GET", "/open/x", fields).await;
            assert_eq!(reply.status, 403, "{form:?} {fields:?}: {reply:?}");
        }
        let websocket = [("Connection", "Upgrade"), ("Upgrade", "WebSocket")];
        let reply = check(&world, form, "GET", "/open/x", &websocket).await;
        assert_eq!(reply.status, 200, "{form:?}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_clients_makes_nginx_answer_that_something_is_broken() {
    let world = world().await;
    for target in ["/open/\u{e9}", "/open/x?q=\u{e9}"] {
        let reply = check(&world, Form::Original, "GET", target, &[]).await;
        assert_eq!(reply.status, 403, "{target}: {reply:?}");
    }
    let fields = [
        ("X-Original-Method", "GET"),
        ("X-Original-URL", "https://\u{e9}.test/open/x"),
    ];
    let reply = world.ask(request("GET", "/.logto/auth", &fields)).await;
    assert_eq!(reply.status, 403, "{reply:?}");
}
