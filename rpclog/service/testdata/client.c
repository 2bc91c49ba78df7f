/*
 * A client of the log service that shares nothing with it but log.x.
 *
 *   client encode                    prints the XDR of the batch below, in hexadecimal
 *   client tcp|udp HOST PORT WHAT    calls the service and prints how that ended
 *
 * WHAT is null, append, append:MAC (in hexadecimal), stats, garbage, procedure, version or program.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static shoal_log_field fields[] = {
	{(char *)"size", (char *)"42"},
	{(char *)"words", (char *)"not JSON"},
};

static shoal_log_entry entries[2];

static shoal_log_append_args args;

static void fill(void)
{
	for (int i = 0; i < 2; i++) {
		shoal_log_entry *e = &entries[i];
		e->time = 1795255200000000000 + i;
		e->level = SHOAL_LOG_WARN;
		e->message = (char *)(i ? "second" : "a \"first\" one");
		e->user = (char *)"carol";
		e->operation = (char *)"publish";
		e->object = (char *)"public/film.mkv";
		e->outcome = (char *)"ok";
		e->remote = (char *)"192.0.2.5:1234";
		e->duration = 2500000;
	}
	entries[1].lost = 7;
	entries[1].fields.fields_len = 2;
	entries[1].fields.fields_val = fields;
	for (int i = 0; i < 32; i++)
		args.batch.device[i] = (char)i;
	args.batch.process = 18446744073709551615u;
	args.batch.first = 1;
	args.batch.sync = TRUE;
	args.batch.entries.entries_len = 2;
	args.batch.entries.entries_val = entries;
	args.mac.mac_val = (char *)"";
}

static int encode(void)
{
	static char buffer[4096];
	XDR xdrs;
	xdrmem_create(&xdrs, buffer, sizeof(buffer), XDR_ENCODE);
	if (!xdr_shoal_log_batch(&xdrs, &args.batch))
		return 1;
	for (u_int i = 0; i < xdr_getpos(&xdrs); i++)
		printf("%02x", (unsigned char)buffer[i]);
	puts("");
	return 0;
}

static void read_mac(const char *text)
{
	static unsigned char mac[32];
	size_t n = strlen(text) / 2;
	for (size_t i = 0; i < n && i < sizeof(mac); i++)
		sscanf(text + 2 * i, "%2hhx", &mac[i]);
	args.mac.mac_len = (u_int)n;
	args.mac.mac_val = (char *)mac;
}

/* Calls with no arguments, which only NULL and STATS take. */
static const char *outcome(CLIENT *c, rpcproc_t procedure)
{
	struct timeval patience = {10, 0};
	enum clnt_stat s = clnt_call(c, procedure, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL, patience);
	return s == RPC_SUCCESS ? "success" : clnt_sperrno(s);
}

static int append(CLIENT *c)
{
	shoal_log_append_result *r = shoal_log_append_1(&args, c);
	if (r == NULL) {
		clnt_perror(c, "append");
		return 1;
	}
	if (r->status != SHOAL_LOG_OK) {
		printf("status %d\n", r->status);
		return 0;
	}
	shoal_log_stored *s = &r->shoal_log_append_result_u.stored;
	printf("verified %d stored %u duplicates %u mark %" PRIu64 "\n", s->verified, s->stored, s->duplicates, (uint64_t)s->mark);
	return 0;
}

static int stats(CLIENT *c)
{
	shoal_log_stats *s = shoal_log_stats_1(NULL, c);
	if (s == NULL) {
		clnt_perror(c, "stats");
		return 1;
	}
	printf("stored %" PRIu64 " duplicates %" PRIu64 " lost %" PRIu64 " missing %" PRIu64 " unverified %" PRIu64 " refused %" PRIu64 "\n",
	       (uint64_t)s->stored, (uint64_t)s->duplicates, (uint64_t)s->lost, (uint64_t)s->missing, (uint64_t)s->unverified,
	       (uint64_t)s->refused);
	return s->started > 0 && s->bytes > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	fill();
	if (argc == 2 && !strcmp(argv[1], "encode"))
		return encode();
	if (argc != 5)
		return 2;
	const char *what = argv[4];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
	inet_pton(AF_INET, argv[2], &to.sin_addr);
	int sock = RPC_ANYSOCK;
	u_long program = SHOAL_LOG_PROGRAM + !strcmp(what, "program");
	u_long version = SHOAL_LOG_V1 + !strcmp(what, "version");
	struct timeval again = {5, 0};
	CLIENT *c = strcmp(argv[1], "udp") ? clnttcp_create(&to, program, version, &sock, 0, 0)
					   : clntudp_create(&to, program, version, again, &sock);
	if (c == NULL) {
		clnt_pcreateerror("connecting");
		return 1;
	}
	c->cl_auth = authunix_create((char *)"a-machine", 1234, 567, 0, NULL);
	if (!strncmp(what, "append:", 7))
		read_mac(what + 7);
	if (!strncmp(what, "append", 6))
		return append(c);
	if (!strcmp(what, "stats"))
		return stats(c);
	if (!strcmp(what, "null"))
		return puts(shoal_log_null_1(NULL, c) ? "success" : clnt_sperror(c, "null")) < 0;
	puts(outcome(c, !strcmp(what, "garbage") ? SHOAL_LOG_APPEND : !strcmp(what, "procedure") ? 99 : SHOAL_LOG_NULL));
	return 0;
}
