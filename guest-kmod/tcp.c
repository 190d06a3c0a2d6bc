// SPDX-License-Identifier: GPL-2.0
/*
 * tcp.c - the tcp layer: which sockets have a capsule, and from when to when
 *
 * A capsule is tied to its socket by the socket's ULP (upper layer protocol),
 * the kernel's own hook for this: it is inherited by the children of a marked
 * listener at the handshake, before accept(); it is told when the socket is
 * destroyed, long after close() if need be; and there is one for each socket,
 * so that kTLS and sockmap, whose state lies elsewhere, exclude it.
 *
 *	marked listener --clone--> connection with capsules --release--> none
 *	   any connection --attach--^     |unplug      ^plug
 *	                                  v            |
 *	                         capsule without socket (an image)
 *
 * The ULP is put on sockets here and not by name: it is not registered, so no
 * process can put it on a socket by setsockopt() and fill the registry.
 *
 * sk_prot stays TCP's own.  What the layer must know is in the socket's fields:
 * copied_seq tells what was read (also by splice and TCP_ZEROCOPY_RECEIVE,
 * which a replaced recvmsg would not see), the state tells of close() and
 * shutdown().  A replaced function would have to return into this module after
 * the socket had dropped its reference of it.
 *
 * Life.  The socket holds a reference of the capsule and of the module.  Its
 * end (ulp release, any context) removes the capsule from the registry, with
 * the openflow capsule that it needs.  After close() that is when the client
 * has acknowledged the FIN; until then the socket is an orphan, the kernel's
 * own, which can move as such.  unplug detaches both before it ends, so that the
 * dead descriptor that the application still has means nothing to the capsule,
 * and does not keep the module.
 *
 * Below: net/ipv4.  Above: plug.c, chardev.c, registry.c.
 * Source: paper section 3.1; net/ipv4/tcp_ulp.c, inet_connection_sock.c.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <net/inet_connection_sock.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/transp_v6.h>

#include "image.h"
#include "mute.h"
#include "registry.h"
#include "tcp-priv.h"

static bool slice_tcp_any_netns;
module_param_named(any_netns, slice_tcp_any_netns, bool, 0644);
MODULE_PARM_DESC(any_netns,
		 "connections of every network namespace, for tests within one kernel");

static atomic64_t slice_tcp_n_connections;
static atomic64_t slice_tcp_n_unsupported;
static atomic64_t slice_tcp_n_failed;
static atomic64_t slice_tcp_n_unplugged;
static atomic64_t slice_tcp_n_plugged;

static void slice_tcp_ulp_release(struct sock *sk);
static void slice_tcp_ulp_clone(const struct request_sock *req,
				struct sock *newsk, const gfp_t priority);

static const struct tcp_ulp_ops slice_tcp_ulp = {
	.name		= "slice",
	.owner		= THIS_MODULE,
	.release	= slice_tcp_ulp_release,
	.clone		= slice_tcp_ulp_clone,
};

/* ---- a capsule's private part ---- */

struct slice_tcp *slice_tcp_new(struct net *net, gfp_t gfp)
{
	struct slice_tcp *conn = kzalloc(sizeof(*conn), gfp);

	if (!conn)
		return NULL;
	spin_lock_init(&conn->lock);
	conn->net = get_net(net);
	return conn;
}

void slice_tcp_free(struct slice_tcp *conn)
{
	if (!conn)
		return;
	put_net(conn->net);
	kfree(conn);
}

struct sock *slice_tcp_hold_sock(struct slice_tcp *conn)
{
	struct sock *sk;

	spin_lock_bh(&conn->lock);
	sk = conn->sk;
	if (sk)
		sock_hold(sk);
	spin_unlock_bh(&conn->lock);
	return sk;
}

/* ---- the tie between socket and capsule ---- */

static struct slice_tcp *slice_tcp_of(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);

	if (icsk->icsk_ulp_ops != &slice_tcp_ulp)
		return NULL;
	return (__force struct slice_tcp *)icsk->icsk_ulp_data;
}

bool slice_tcp_is_marked(const struct sock *sk)
{
	return inet_csk(sk)->icsk_ulp_ops == &slice_tcp_ulp;
}

void slice_tcp_attach(struct slice_tcp *conn, struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	slice_capsule_get(conn->capsule);
	__module_get(THIS_MODULE);
	icsk->icsk_ulp_data = (__force void __rcu *)conn;
	icsk->icsk_ulp_ops = &slice_tcp_ulp;
	spin_lock_bh(&conn->lock);
	conn->sk = sk;
	spin_unlock_bh(&conn->lock);
}

static struct slice_capsule *slice_tcp_untie(struct sock *sk)
{
	struct slice_tcp *conn = slice_tcp_of(sk);

	if (!conn)
		return NULL;
	inet_csk(sk)->icsk_ulp_data = NULL;
	spin_lock_bh(&conn->lock);
	conn->sk = NULL;
	spin_unlock_bh(&conn->lock);
	return conn->capsule;
}

struct slice_capsule *slice_tcp_detach(struct sock *sk)
{
	struct slice_capsule *capsule = slice_tcp_untie(sk);

	inet_csk(sk)->icsk_ulp_ops = NULL;
	module_put(THIS_MODULE);
	return capsule;
}

/* The capsules of a connection that ends here. */
static void slice_tcp_remove(struct slice_capsule *capsule)
{
	struct slice_capsule *openflow;

	openflow = slice_capsule_needed(capsule, &slice_openflow_ops);
	slice_capsule_remove(capsule);
	if (openflow) {
		slice_capsule_remove(openflow);
		slice_capsule_put(openflow);
	}
}

/* The socket is destroyed; any context.  tcp_cleanup_ulp() drops the module. */
static void slice_tcp_ulp_release(struct sock *sk)
{
	struct slice_capsule *capsule = slice_tcp_untie(sk);

	if (!capsule)
		return;
	slice_tcp_remove(capsule);
	slice_capsule_put(capsule);
}

/* Capsules for a connection: ERR_PTR of -ENOMEM, -ENOSPC. */
static struct slice_tcp *slice_tcp_create(struct net *net,
					  const struct slice_image_flow *flow,
					  gfp_t gfp)
{
	struct slice_capsule *openflow, *tcp;
	struct slice_flow *rule;
	struct slice_tcp *conn;
	int ret;

	rule = kzalloc(sizeof(*rule), gfp);
	if (!rule)
		return ERR_PTR(-ENOMEM);
	rule->flow = *flow;
	rule->is_known = true;
	openflow = slice_capsule_create(&slice_openflow_ops, rule, true, gfp);
	if (IS_ERR(openflow)) {
		ret = PTR_ERR(openflow);
		goto err_free_rule;
	}
	conn = slice_tcp_new(net, gfp);
	if (!conn) {
		ret = -ENOMEM;
		goto err_remove_openflow;
	}
	conn->flow.flow = *flow;
	conn->flow.is_known = true;
	tcp = slice_capsule_create(&slice_tcp_ops, conn, true, gfp);
	if (IS_ERR(tcp)) {
		ret = PTR_ERR(tcp);
		goto err_free_conn;
	}
	conn->capsule = tcp;
	ret = slice_capsule_set_dep(tcp, openflow, gfp);
	if (ret)
		goto err_remove_tcp;
	atomic64_inc(&slice_tcp_n_connections);
	return conn;

err_remove_tcp:
	slice_capsule_remove(tcp);
	slice_capsule_remove(openflow);
	return ERR_PTR(ret);
err_free_conn:
	slice_tcp_free(conn);
err_remove_openflow:
	slice_capsule_remove(openflow);
	return ERR_PTR(ret);
err_free_rule:
	kfree(rule);
	return ERR_PTR(ret);
}

/* A child of a marked listener, in the handshake's softirq, @newsk locked. */
static void slice_tcp_ulp_clone(const struct request_sock *req,
				struct sock *newsk, const gfp_t priority)
{
	struct slice_image_flow flow;
	struct slice_tcp *conn;

	/* The child is plain unless all of this succeeds. */
	inet_csk(newsk)->icsk_ulp_ops = NULL;
	inet_csk(newsk)->icsk_ulp_data = NULL;
	if (slice_tcp_flow_of_request(req, &flow)) {
		atomic64_inc(&slice_tcp_n_unsupported);
		return;
	}
	conn = slice_tcp_create(sock_net(newsk), &flow, priority);
	if (IS_ERR(conn)) {
		atomic64_inc(&slice_tcp_n_failed);
		return;
	}
	conn->is_child = true;
	slice_tcp_attach(conn, newsk);
}

/* ---- what user space asks for ---- */

bool slice_tcp_may_use(const struct net *net)
{
	return net_eq(net, &init_net) || READ_ONCE(slice_tcp_any_netns);
}

/* The socket behind a descriptor, if it is one of plain TCP. */
static struct socket *slice_tcp_socket(int fd)
{
	struct socket *sock;
	int ret;

	sock = sockfd_lookup(fd, &ret);
	if (!sock)
		return ERR_PTR(ret);
	if (!sock->sk || sock->type != SOCK_STREAM ||
	    !slice_tcp_may_use(sock_net(sock->sk)) ||
	    (sock->sk->sk_prot != &tcp_prot
#if IS_ENABLED(CONFIG_IPV6)
	     && sock->sk->sk_prot != &tcpv6_prot
#endif
	    )) {
		sockfd_put(sock);
		return ERR_PTR(-EOPNOTSUPP);
	}
	return sock;
}

int slice_tcp_mark_listener(int fd)
{
	struct inet_connection_sock *icsk;
	struct socket *sock;
	int ret = 0;

	sock = slice_tcp_socket(fd);
	if (IS_ERR(sock))
		return PTR_ERR(sock);
	icsk = inet_csk(sock->sk);
	lock_sock(sock->sk);
	if (sock->sk->sk_state != TCP_LISTEN) {
		ret = -EINVAL;
	} else if (!icsk->icsk_ulp_ops) {
		__module_get(THIS_MODULE);
		icsk->icsk_ulp_data = NULL;
		/* Its softirq looks at the operations only. */
		WRITE_ONCE(icsk->icsk_ulp_ops, &slice_tcp_ulp);
	} else if (icsk->icsk_ulp_ops != &slice_tcp_ulp) {
		ret = -EEXIST;
	}
	release_sock(sock->sk);
	sockfd_put(sock);
	return ret;
}

/* Under the socket's lock. */
static struct slice_capsule *slice_tcp_capsule_of_sock(struct sock *sk)
{
	struct slice_tcp *conn = slice_tcp_of(sk);
	struct slice_image_flow flow;

	if (conn)
		return slice_capsule_get(conn->capsule);
	if (inet_csk(sk)->icsk_ulp_ops)
		return ERR_PTR(-EEXIST);
	if (!((1 << sk->sk_state) & SLICE_TCP_STATES))
		return ERR_PTR(-ENOTCONN);
	if (sk->sk_user_data || slice_tcp_flow_of_sock(sk, &flow))
		return ERR_PTR(-EOPNOTSUPP);
	conn = slice_tcp_create(sock_net(sk), &flow, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(conn))
		return ERR_CAST(conn);
	slice_tcp_attach(conn, sk);
	return slice_capsule_get(conn->capsule);
}

struct slice_capsule *slice_tcp_capsule_of_fd(int fd)
{
	struct slice_capsule *capsule;
	struct socket *sock;

	sock = slice_tcp_socket(fd);
	if (IS_ERR(sock))
		return ERR_CAST(sock);
	lock_sock(sock->sk);
	capsule = slice_tcp_capsule_of_sock(sock->sk);
	release_sock(sock->sk);
	sockfd_put(sock);
	return capsule;
}

int slice_tcp_flow(struct slice_capsule *capsule,
		   struct slice_image_flow *ret_flow)
{
	const struct slice_flow *flow = slice_capsule_priv(capsule);

	if (!flow || !flow->is_known)
		return -ENOTCONN;
	*ret_flow = flow->flow;
	return 0;
}

void slice_tcp_settle(struct slice_capsule *capsule,
		      struct sk_buff_head *ret_caught)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);

	if (conn && conn->flow.is_known)
		slice_mute_settle(conn->net, &conn->flow.flow, conn,
				  ret_caught);
}

void slice_tcp_abandon(struct slice_capsule *capsule)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);
	struct file *file;

	if (!conn)
		return;
	file = xchg(&conn->file, NULL);
	if (file)
		fput(file);
}

void slice_tcp_stats(struct slice_tcp_stats *ret_stats)
{
	ret_stats->n_connections = atomic64_read(&slice_tcp_n_connections);
	ret_stats->n_unsupported = atomic64_read(&slice_tcp_n_unsupported);
	ret_stats->n_failed = atomic64_read(&slice_tcp_n_failed);
	ret_stats->n_unplugged = atomic64_read(&slice_tcp_n_unplugged);
	ret_stats->n_plugged = atomic64_read(&slice_tcp_n_plugged);
}

/* ---- the layer's operations ---- */

/*
 * A connection that is half closed by its application means something to that
 * application only: without a layer above, nobody at the target could take it.
 * An orphan is the kernel's; one that a layer still needs is being ended by it.
 * A listener's child that nobody has named yet waits to be accepted, or to be
 * given the capsule that it will need at the target: here, in a moment.
 */
static bool slice_tcp_has_heir(const struct slice_tcp *conn,
			       const struct sock *sk)
{
	const struct slice_capsule *capsule = conn->capsule;
	bool is_needed = !list_empty(&capsule->needed_by);

	if (sock_flag(sk, SOCK_DEAD))
		return !is_needed;
	if (!is_needed && conn->is_child && list_empty(&capsule->words))
		return false;
	return is_needed || !slice_tcp_is_shut(READ_ONCE(sk->sk_state));
}

enum slice_why slice_tcp_why_of(struct slice_tcp *conn, const struct sock *sk)
{
	enum slice_why why = slice_tcp_refusal(sk);

	if (why == SLICE_WHY_NONE && !slice_tcp_has_heir(conn, sk))
		return SLICE_WHY_STATE;
	return why;
}

static enum slice_why slice_tcp_why(struct slice_capsule *capsule)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);
	enum slice_why why = SLICE_WHY_STATE;

	if (!conn)
		return why;
	spin_lock_bh(&conn->lock);
	if (conn->sk)
		why = slice_tcp_why_of(conn, conn->sk);
	spin_unlock_bh(&conn->lock);
	return why;
}

/* Has nobody read since this was last looked at?  Looks again. */
static bool slice_tcp_look(struct slice_tcp *conn)
{
	u32 seq = conn->quiet_seq;
	bool is_quiet;

	spin_lock_bh(&conn->lock);
	if (conn->sk)
		seq = READ_ONCE(tcp_sk(conn->sk)->copied_seq);
	is_quiet = seq == conn->quiet_seq;
	conn->quiet_seq = seq;
	spin_unlock_bh(&conn->lock);
	return is_quiet;
}

static void slice_tcp_freeze(struct slice_capsule *capsule)
{
	slice_tcp_look(slice_capsule_priv(capsule));
}

/*
 * A thread that has read since the last look may be about to take a reference:
 * the mover, woken here, looks once more, at references too.
 */
static bool slice_tcp_is_quiet(struct slice_capsule *capsule)
{
	if (slice_tcp_look(slice_capsule_priv(capsule)))
		return true;
	slice_capsule_changed(capsule);
	return false;
}

static int slice_tcp_unplug_counted(struct slice_capsule *capsule,
				    struct slice_image *image, u32 index)
{
	int ret = slice_tcp_unplug(capsule, image, index);

	if (!ret)
		atomic64_inc(&slice_tcp_n_unplugged);
	return ret;
}

static int slice_tcp_plug_counted(struct slice_capsule *capsule,
				  const struct slice_image_reader *reader,
				  u32 index)
{
	int ret = slice_tcp_plug(capsule, reader, index);

	if (!ret)
		atomic64_inc(&slice_tcp_n_plugged);
	return ret;
}

void slice_tcp_bury(struct slice_tcp *conn)
{
	if (!conn || !conn->flow.is_known)
		return;
	slice_mute_resolve(conn->net, &conn->flow.flow, conn);
}

/* It lives elsewhere: what was not handed over has been sent again by now. */
static void slice_tcp_forget(struct slice_capsule *capsule)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);

	slice_tcp_bury(conn);
	if (conn && conn->flow.is_known)
		slice_tcp_untrack(conn->net, &conn->flow.flow);
}

static int slice_tcp_get_handle(struct slice_capsule *capsule,
				u64 *ret_handle)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	/* An orphan has no application. */
	file = conn && !conn->is_orphan ? xchg(&conn->file, NULL) : NULL;
	if (!file) {
		put_unused_fd(fd);
		return -ENOENT;
	}
	*ret_handle = fd;
	fd_install(fd, file);
	return 0;
}

static void slice_tcp_layer_release(struct slice_capsule *capsule)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);

	/* Whatever it has left is nobody's. */
	slice_tcp_bury(conn);
	slice_tcp_free(conn);
}

const struct slice_layer_ops slice_tcp_ops = {
	.name		= "tcp",
	.version	= 2,
	.rank		= 20,
	.why		= slice_tcp_why,
	.freeze		= slice_tcp_freeze,
	.is_quiet	= slice_tcp_is_quiet,
	.unplug		= slice_tcp_unplug_counted,
	.plug		= slice_tcp_plug_counted,
	.open		= slice_tcp_open,
	.discard	= slice_tcp_discard,
	.forget		= slice_tcp_forget,
	.get_handle	= slice_tcp_get_handle,
	.release	= slice_tcp_layer_release,
};

int slice_tcp_init(void)
{
	return slice_mute_init();
}

void slice_tcp_exit(void)
{
	slice_mute_exit();
}
