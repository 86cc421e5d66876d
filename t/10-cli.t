#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What is typed and what comes back: help, mistakes, exit statuses, colour, and the verbs
# that ask a server, here a stand-in whose answers are known.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Test::More;

use FindBin;
use lib "$FindBin::Bin/lib";
use Files qw(slurp spew);

my $build = abs_path($ENV{DEVSERVE_BUILD} // 'build');
plan skip_all => "no $build/devserve" unless -x "$build/devserve";
$ENV{PATH} = "$build:$ENV{PATH}";
delete $ENV{$_} for grep { /^DEVSERVE_/ || $_ eq 'NO_COLOR' } keys %ENV;

my $place = tempdir(CLEANUP => 1);
chdir $place or die;
my @verbs = qw(new check status infer wait logs inspect schema clean doctor completion help version);

# A command line for the shell, which may set variables first: status, stdout, stderr.
sub run {
	my ($line) = @_;

	my $status = system "{ $line ; } >'$place/out' 2>'$place/err' </dev/null";
	return ($status >> 8, slurp("$place/out"), slurp("$place/err"));
}

sub refuses {
	my ($line, $status, $sentence) = @_;
	my ($got, $out, $err) = run($line);

	is_deeply([$got, $out, $err], [$status, '', $sentence], $line);
}

# Help

{
	my ($status, $out, $err) = run('devserve --help');

	is("$status$err", '0', '--help is no mistake');
	is_deeply([grep { length > 80 } split /\n/, $out], [], '--help fits into 80 columns');
	unlike($out, qr/\e/, '--help has no colour in a file');
	like($out, qr/^  $_ /m, "--help names $_") for @verbs;
	is((run("devserve $_"))[1], $out, "devserve $_") for '-h', 'help';
}
for my $verb (@verbs) {
	my ($status, $out, $err) = run("devserve $verb --help");

	is("$status$err", '0', "devserve $verb --help");
	like($out, qr/^Usage: devserve $verb\b/, "$verb --help begins with its usage");
	is((run("devserve help $verb"))[1], $out, "devserve help $verb is the same");
}
for ('--version', 'version') {
	my ($status, $out, $err) = run("devserve $_");

	ok($status == 0 && $err eq '' && $out =~ /^devserve \d+\.\d+\.\d+\n$/, "devserve $_");
}

# Mistakes

my $try = "Try 'devserve --help'.\n";
refuses('devserve --prot 1', 2, "devserve: there is no option --prot; did you mean --port?\n$try");
refuses('devserve --port', 2, "devserve: --port needs a value: --port PORT\n$try");
refuses('devserve --port 65536', 2, "devserve: --port takes a number from 0 to 65535, not '65536'\n$try");
refuses('DEVSERVE_PORT=http devserve', 2,
	"devserve: DEVSERVE_PORT takes a number from 0 to 65535, not 'http'\n$try");
refuses('devserve statsu', 2,
	"devserve: 'statsu' is neither a directory nor a command; did you mean 'status'?\n$try");
refuses('devserve frobnicate', 2, "devserve: 'frobnicate' is neither a directory nor a command\n$try");
refuses('devserve help clena', 2,
	"devserve: there is no command 'clena'; did you mean 'clean'?\n$try");
refuses('devserve help nosuch', 2, "devserve: there is no command 'nosuch'\n$try");
refuses('devserve infr x', 2,
	"devserve: 'infr' is neither a directory nor a command; did you mean 'infer'?\n$try");
refuses('devserve statsu --watch', 2,
	"devserve: 'statsu' is neither a directory nor a command; did you mean 'status'?\n$try");
refuses("devserve $_", 1, "devserve: there is no directory ./plugins; 'devserve new NAME --root ./plugins' makes a first deployment\n")
	for '', 'check';
refuses('devserve ./kernels', 1,
	"devserve: there is no directory ./kernels; 'devserve new NAME --root ./kernels' makes a first deployment\n");
spew("$place/kernel.c", '');
refuses("devserve $_", 1,
	"devserve: / is the whole machine; name the directory that the deployments are in\n") for 'check /', '/ --port 0';
refuses('devserve ./kernel.c', 1,
	"devserve: ./kernel.c is not a directory; name the directory that it is in\n");
refuses('devserve status --urk x', 2,
	"devserve: there is no option --urk; did you mean --url?\nTry 'devserve status --help'.\n");
refuses('devserve status a b', 2,
	"devserve: one ROOT is taken, not both 'a' and 'b'\nTry 'devserve status --help'.\n");
refuses('devserve version now', 2, "devserve: 'now' is one argument too many\nTry 'devserve version --help'.\n");
refuses('devserve completion csh', 2,
	"devserve: SHELL takes bash, zsh or fish, not 'csh'\nTry 'devserve completion --help'.\n");
refuses('devserve status now', 69, "devserve: there is no directory now\n");
refuses("devserve $_", 69, "devserve: no server runs for .: there is no ./.devserve/run.json; 'devserve .' starts one\n")
	for 'status .', 'status --root .', 'wait m --root .';
refuses('devserve wait', 2,
	"devserve: which deployment? 'devserve status' lists them\nTry 'devserve wait --help'.\n");
refuses('devserve wait m --timeout 0', 2,
	"devserve: --timeout takes a number from 1 to 86400, not '0'\nTry 'devserve wait --help'.\n");
refuses('devserve status --url localhost', 2,
	"devserve: 'localhost' is not a URL such as http://127.0.0.1:8000\nTry 'devserve status --help'.\n");

# A stand-in for the server: what is asked for names the answer; requests are kept.

my $status = <<'END' =~ s/\n\s*//gr;
{"version":"0.1.0","url":"http://127.0.0.1:1","root":"/p","pid":42,"uptime_s":61.7,"new":{},"deployments":[
{"name":"matmul","state":"ready","generation":8,"stale":null,"reason":null,"last_outcome":"swapped",
"workers":[{"pid":1,"generation":8,"rss_bytes":1}],
"requests":1200,"failures":3,"queued":0,"in_flight":1,"compute_ns_mean":1234567,
"settings":{"num_replicas":2,"max_ongoing_requests":0,"request_timeout_s":2.5,"idempotent":true,"state":{"checkpoint_ms":50}}},
{"name":"softmax","state":"unavailable","generation":0,"stale":"build-failed","reason":"it does not build"}]}
END
my %answers = (
	'/-/status' => [200, $status],
	'/-/wait?deployment=good' => [200, '{"deployment":"good","generation":8,"outcome":"swapped","reason":null}'],
	'/-/wait?deployment=same' => [200, '{"deployment":"same","generation":8,"outcome":"unchanged"}'],
	'/-/wait?deployment=bad' => [200, '{"deployment":"bad","generation":8,"outcome":"build-failed","reason":"2 errors"}'],
	'/-/wait?deployment=shy' => [200, '{"deployment":"shy","generation":8,"outcome":"refused","reason":"state"}'],
	'/-/wait?deployment=long' => [200, '{"outcome":"swapped","reason":"' . 'x' x 100000 . '"}'],
	'/-/wait?deployment=evil' => [200, '{"deployment":"evil","generation":8,"outcome":"refused",'
		. '"reason":"no\u001b[2J \u001b]0;t\u0007such\r\ndevserve: \u009b2Jluck"}'],
	'/-/wait?deployment=a%20%26%2Fb' => [404, '{"error":"there is no deployment of that name"}'],
);

sub answer {
	my ($client) = @_;
	my $request = '';

	while (my $line = <$client>) {
		last if $line eq "\r\n";
		$request .= $line;
	}
	spew("$place/request", $request);
	my ($path) = $request =~ /^GET (\S+) HTTP\/1\.1\r\n/ or return;
	return <$client> if $path =~ /slow/; # until it has gone
	my ($code, $body) = @{$answers{$path} // [404, '{"error":"no such route"}']};
	($code, $body) = (401, '{"error":"token"}') if $request !~ /^Authorization: Bearer sesame\r$/m;
	printf $client "HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", $code, length $body, $body;
}

my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die;
my $port = $listener->sockport;
my $url = "http://127.0.0.1:$port";
my $server = fork // die;
if (!$server) {
	$SIG{PIPE} = 'IGNORE';
	$SIG{CHLD} = 'IGNORE';
	while (my $client = $listener->accept) {
		next if fork;
		answer($client);
		close $client;
		exec 'true'; # without the destructors of the test
	}
	exec 'false';
}
close $listener;
END { kill 'TERM', $server if $server }

sub run_file {
	my ($at, $pid) = @_;

	make_path("$place/plugins/.devserve");
	spew("$place/plugins/.devserve/run.json",
	     qq({"url":"$at","token":"sesame","pid":$pid,"version":"0.1.0"}\n));
}

my $wants_token = "devserve: the server at $url wants its token; run this where its ./plugins is, or "
	. "let DEVSERVE_TOKEN_FILE name its run.json\n";
refuses("devserve status --url $url", 1, $wants_token);
spew("$place/token", "sesame\n");
is((run("DEVSERVE_URL=$url DEVSERVE_TOKEN_FILE=token devserve status --json"))[0], 0,
	'server and token come from the environment');
run_file($url, $server);
is((run('devserve status --json'))[0], 0, 'server and token come from run.json');
is((run("devserve status --json --url http://localhost:$port"))[0], 0, 'another name of the same server');
is((run("DEVSERVE_TOKEN_FILE=plugins/.devserve/run.json devserve status --url $url --state-dir /nowhere"))[0], 0,
	'a run.json is a token file too');
run_file('http://127.0.0.1:1', $server);
refuses("devserve status --url $url", 1, $wants_token);
unlike(slurp("$place/request"), qr/sesame/, 'the token goes only to the server that wrote it');
refuses('devserve status', 69, "devserve: no server answers at http://127.0.0.1:1: Connection refused\n");
refuses('devserve wait matmul', 69, "devserve: no server answers at http://127.0.0.1:1: Connection refused\n");
spew("$place/empty", '');
refuses("DEVSERVE_TOKEN_FILE=empty devserve status --url $url", 1,
	$wants_token =~ s/\n/; DEVSERVE_TOKEN_FILE names empty, which holds none\n/r);
refuses("DEVSERVE_TOKEN_FILE=/nonexist devserve status --url $url", 1,
	$wants_token =~ s{\n}{; DEVSERVE_TOKEN_FILE names /nonexist: No such file or directory\n}r);
my $ended = fork // die;
exec 'true' unless $ended;
waitpid $ended, 0;
run_file('http://127.0.0.1:1', $ended);
refuses('devserve status', 69, 'devserve: no server answers at http://127.0.0.1:1: Connection refused; the one '
	. "that wrote ./plugins/.devserve/run.json has ended; 'devserve' starts another\n");
refuses('devserve status plugins', 69, 'devserve: no server answers at http://127.0.0.1:1: Connection refused; the one '
	. "that wrote plugins/.devserve/run.json has ended; 'devserve plugins' starts another\n");

# status

run_file($url, $server);
is_deeply([run('devserve status')], [0, <<'END', ''], 'status is a table');
devserve 0.1.0  http://127.0.0.1:1  /p  pid 42  up 62 s

NAME     STATE        GEN  STALE  REPLICAS  REQUESTS  FAILED  QUEUE    MEAN  LAST SAVE
matmul   ready          8  -             1      1200       3      0  1.2 ms  swapped
softmax  unavailable    0  -             0         -       -      -       -  -

matmul: num_replicas: 2, request_timeout_s: 2.5, idempotent: true, state: {checkpoint_ms: 50}

softmax: it does not build
END
is_deeply([run('devserve status --json')], [0, "$status\n", ''], 'status --json is what the server said');

# What is printed goes somewhere, or it is said

for ('devserve help --man', 'devserve --help', 'devserve status', 'devserve wait long --json', 'devserve completion zsh') {
	is((run("{ $_; echo \$? >'$place/status'; } >/dev/full"))[2],
		"devserve: cannot write: No space left on device\n",
		"$_: a full disk is told of");
	is(slurp("$place/status"), "1\n", "$_: its exit status");
}
is((run("trap '' PIPE; $_ | head -c 1 >/dev/null"))[2], '', "$_: a reader who goes is not told of")
	for 'devserve help --man', 'devserve status --watch', 'devserve status';

# Colour

SKIP: {
	skip 'script(1) is not there', 9 if system 'command -v script >/dev/null';
	my $on_terminal = sub {
		my ($variables, $options, $columns) = @_;
		my $stty = $columns ? "stty cols $columns;" : '';

		return (run("$variables script -qec '$stty devserve status $options' /dev/null"))[1];
	};
	like($on_terminal->('TERM=xterm', ''), qr/\e\[32mready/, 'a terminal gets colour');
	unlike($on_terminal->('TERM=xterm NO_COLOR=1', ''), qr/\e/, 'not with NO_COLOR');
	like($on_terminal->('TERM=xterm NO_COLOR=', ''), qr/\e/, 'an empty NO_COLOR is none');
	unlike($on_terminal->('TERM=dumb', ''), qr/\e/, 'not a dumb one');
	unlike($on_terminal->('TERM=xterm', '--no-color'), qr/\e/, 'not with --no-color');
	for my $columns (50, 80) {
		my @lines = split /\r?\n/, $on_terminal->('TERM=dumb', '', $columns);
		my @table = grep { /^(?:NAME|matmul  |softmax  )/ } @lines;

		is(scalar @table, 3, "a terminal of $columns columns gets the table");
		is_deeply([grep { length > $columns } @table], [], 'without columns that do not fit');
	}
}

# wait

is_deeply([run('devserve wait good')], [0, "good  gen 8  swapped\n", ''], 'a save that serves');
is_deeply([run('devserve wait same')], [0, "same  gen 8  unchanged\n", ''], 'a save that changed nothing');
refuses('devserve wait bad', 4, "devserve: bad: build-failed: 2 errors\n");
refuses('devserve wait shy', 1, "devserve: shy: refused: state\n");
refuses('devserve wait evil', 1, "devserve: evil: refused: no such?\n  devserve: ?2Jluck\n");
refuses("devserve wait 'a &/b'", 1, "devserve: there is no deployment 'a &/b'; 'devserve status' lists them\n");
refuses('devserve wait matmull', 1, "devserve: there is no deployment 'matmull'; did you mean 'matmul'?\n");
refuses('devserve wait slow --timeout 1', 1, "devserve: slow: after 1 s it isn't known whether the newest save "
	. "serves; 'devserve status' shows what does, --timeout waits longer\n");
is_deeply([run('devserve wait bad --json')], [4, "$answers{'/-/wait?deployment=bad'}[1]\n", ''],
	'wait --json is what the server said');

# clean

refuses('devserve clean nosuch', 1, "devserve: there is no directory nosuch\n");
refuses('devserve clean kernel.c', 1, "devserve: kernel.c is not a directory\n");
refuses('devserve clean --state-dir nosuch', 1, "devserve: there is no directory nosuch\n");
make_path("$place/unbuilt");
is_deeply([run('devserve clean unbuilt')], [0, "nothing was built here: there is no unbuilt/.devserve\n", ''],
	'clean of what was never served');
my $state = "$place/plugins/.devserve";
my $hash = '0123456789abcdef' x 2;
my @goes = ("objects/$hash.o", "images/$hash.so", "manifests/$hash", "loops/$hash", "generations/$ended/m.so", "tmp/$ended-aaaaaa/1.o");
my @stays = ('deployments/m', "generations/$server/m.so", 'images/mine.png', 'run.json', "tmp/$server-aaaaaa/1.o",
	"toolchain/$hash");
make_path(map { m{(.*)/} ? "$state/$1" : () } @goes, @stays);
spew("$state/$_", 'x' x 5000) for grep { $_ ne 'run.json' } @goes, @stays;
is(join('', (run('devserve clean --dry-run'))[0, 2]), '0', 'clean --dry-run');
is_deeply([sort map { -f $_ ? $_ : glob "$_/*" } split /\n/, slurp("$place/out") =~ s/^would free.*\n//mr],
	[sort map { "./plugins/.devserve/$_" } @goes], 'clean --dry-run names what would go');
is_deeply([grep { ! -e "$state/$_" } @goes, @stays], [], 'clean --dry-run leaves everything');
is(join('', (run('devserve clean'))[0, 2]), '0', 'clean');
like(slurp("$place/out"), qr/^freed \d+\.\d kB in 6 files\n$/, 'clean says what it freed');
is_deeply([grep { -e "$state/$_" } @goes], [], 'what was built goes, and what ended processes left');
is_deeply([grep { ! -e "$state/$_" } @stays], [],
	"records, what a running server uses, and what is nobody's stays");
ok(-d "$state/objects", 'the directories stay: a running server relies on them');
is_deeply([run('devserve clean')], [0, "freed 0 bytes in 0 files\n", ''], 'clean may be repeated');
rename "$state/tmp/$server-aaaaaa", "$state/tmp/$ended-bbbbbb";
run('devserve clean');
ok(! -e "$state/toolchain/$hash", 'what is known of the toolchain goes when no server runs');

done_testing();
