#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Each way in which people and programs save, done by the programs themselves where they are
# here and by the same system calls where not, and exactly the batches that src/watch makes
# of them. t/lib/watch_print.c prints those.
#
# Nothing sleeps. That a batch is all there is, is proven by a marker: a file written after
# it, whose batch must be the next.

use strict;
use warnings;
use Cwd qw(realpath);
use Fcntl;
use File::Temp qw(tempdir);
use IPC::Open2;
use JSON::PP;
use Test::More;

my $build = realpath($ENV{DEVSERVE_BUILD} // 'build');
my $print = "$build/t/watch_print";
plan skip_all => "$print is not built" unless -x $print;
$ENV{DEVSERVE_LIBEXEC} = $build;
$ENV{"GIT_$_"} = 'nobody' for qw(AUTHOR_NAME COMMITTER_NAME);
$ENV{"GIT_$_"} = 'nobody@localhost' for qw(AUTHOR_EMAIL COMMITTER_EMAIL);
delete @ENV{qw(GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE)};

my $patience = 20; # seconds
my $tmp = realpath(tempdir('watch.XXXXXX', TMPDIR => 1, CLEANUP => 1));
my $root = "$tmp/plugins";
my $n_markers = 0;

# Doing things to files

sub run { system(@_) == 0 or BAIL_OUT("@_: status $?") }
sub sh { run('sh', '-ec', $_[0]) }
sub have { !system "command -v $_[0] >/dev/null" }

sub put {
	my ($path, @pieces) = @_;

	sysopen my $to, $path, O_WRONLY | O_CREAT | O_TRUNC or die "$path: $!";
	syswrite $to, $_ for @pieces ? @pieces : ("int x;\n");
	close $to;
}

sub move { rename $_[0], $_[1] or die "$_[0]: $!" }
sub make { mkdir $_ or die "$_: $!" for @_ }
sub remove { unlink == 1 or die "$_: $!" for @_ }
sub linked { symlink $_[0], $_[1] or die "$_[1]: $!" }

# The watch

package Watch {
	sub start {
		my ($class, @command) = @_;
		my $self = bless { text => '', notices => [] }, $class;

		$self->{pid} = IPC::Open2::open2($self->{out}, $self->{in}, @command);
		return $self;
	}

	sub line {
		my $self = shift;

		until ($self->{text} =~ /\n/) {
			my $ready = '';

			vec($ready, fileno $self->{out}, 1) = 1;
			unless (select $ready, undef, undef, $patience) {
				my $waited = $patience;

				$patience = 1; # it's broken: don't take all day to say so
				return { nothing => "within $waited s" };
			}
			return { nothing => 'any more' } unless sysread $self->{out}, $self->{text}, 65536, length $self->{text};
		}
		$self->{text} =~ s/^(.*)\n//;
		return JSON::PP->new->decode($1);
	}

	# Notices on the way are kept.
	sub batch {
		my $self = shift;

		while (my $line = $self->line) {
			return $line unless $line->{notice};
			push @{$self->{notices}}, $line->{notice};
		}
	}

	# The next notice, and what else was said before.
	sub notice {
		my $self = shift;

		while (!@{$self->{notices}}) {
			my $line = $self->line;

			return 'nothing' if $line->{nothing};
			push @{$self->{notices}}, $line->{notice} if $line->{notice};
			push @{$self->{skipped}}, $line unless $line->{notice};
		}
		return shift @{$self->{notices}};
	}

	# The process id of devserve-watch.
	sub helper {
		my ($self, $pid) = (shift, 0);

		main::eventually(sub {
			open my $children, '<', "/proc/$self->{pid}/task/$self->{pid}/children" or return 0;
			($pid) = split ' ', <$children> // '';
			return $pid;
		});
		return $pid || 0;
	}

	sub end {
		my $self = shift;

		close $self->{in};
		my $line = $self->batch;
		waitpid $self->{pid}, 0;
		return $line->{end} && $? == 0;
	}
}

my $watch;

sub everything { return { paths => [], everything => JSON::PP::true, overflow => JSON::PP::false } }
sub paths { return { paths => [sort @_], everything => JSON::PP::false, overflow => JSON::PP::false } }

# Whatever was said before, nothing more comes: the next batch is the marker's.
sub quiet {
	my ($name) = @_;
	my $marker = 'marker' . $n_markers++ . '.h';

	put("$root/$marker");
	is_deeply($watch->batch, paths($marker), "$name: and nothing more");
}

# All paths of the batches up to now, however many there are.
sub told {
	my $marker = 'marker' . $n_markers++ . '.h';
	my %told;

	put("$root/$marker");
	until ($told{$marker}) {
		my $batch = $watch->batch;
		return if $batch->{nothing};
		$told{$_} = 1 for @{$batch->{paths}};
	}
	delete $told{$marker};
	return %told;
}

# @do leads to one batch with these paths, or to none.
sub saves {
	my ($name, $do, @expected) = @_;

	$do->();
	is_deeply($watch->batch, paths(@expected), $name) if @expected;
	quiet($name);
}

# @do is over before devserve-watch looks.
sub late {
	my ($do) = @_;

	return sub {
		my $helper = $watch->helper or return;

		kill STOP => $helper;
		$do->();
		kill CONT => $helper;
	};
}

# Until @done is true. Only for what has no event that a test could wait for.
sub eventually {
	my ($done) = @_;

	for (1 .. $patience * 100) {
		return 1 if $done->();
		select undef, undef, undef, 0.01;
	}
	return 0;
}

# One file, one event: with the rest that is the default

make($root, "$root/matmul", "$tmp/elsewhere");
put("$root/matmul/k.c", "int x;\n" x 40);
my $k = "$root/matmul/k.c";

$watch = Watch->start($print, $root, 10);
is_deeply($watch->batch, everything(), 'the start is a batch with everything');

saves('a shell writes over it', sub { sh("echo 'int y;' >$k") }, 'matmul/k.c');
saves('truncated and written in pieces', sub { put($k, 'int ', 'z', ";\n") }, 'matmul/k.c');
saves('appended to', sub { sh("echo >>$k") }, 'matmul/k.c');
saves('dd without truncation', sub { sh("printf 'int w;' | dd of=$k conv=notrunc status=none") }, 'matmul/k.c');
saves('sed -i', sub { run('sed', '-i', 's/int/long/', $k) }, 'matmul/k.c');
saves('mv over it', sub { put("$tmp/new.c"); run('mv', "$tmp/new.c", $k) }, 'matmul/k.c');
saves('touch', sub { run('touch', $k) }, 'matmul/k.c');
saves('a new file', sub { put("$root/matmul/new.cu") }, 'matmul/new.cu');
saves('cp', sub { run('cp', $k, "$root/matmul/copy.c") }, 'matmul/copy.c');
saves('rm', sub { run('rm', "$root/matmul/copy.c") }, 'matmul/copy.c');
saves('a symbolic link', sub { linked('k.c', "$root/matmul/l.c") }, 'matmul/l.c');
saves('written behind it', sub { put($k) }, 'matmul/k.c', 'matmul/l.c');
saves('the link is deleted', sub { remove("$root/matmul/l.c") }, 'matmul/l.c');
saves('a hard link', sub { link $k, "$root/matmul/h.c" or die }, 'matmul/h.c');
saves('a file in the root', sub { put("$root/single.c") }, 'single.c');
saves('weights and configuration', sub { put("$root/matmul/deployment.yaml") }, 'matmul/deployment.yaml');
saves('chmod is no save', sub { run('chmod', '600', $k) });
saves('reading is no save', sub { sh("cat $k >/dev/null") });
saves('names that nobody wants', sub {
	put("$root/matmul/$_") for '#k.c#', qw(k.c~ .n.c.swp 4913 sedAbCdEf k.o libk.so k.c___jb_tmp___
					       k.c___jb_old___ flycheck_k.c config.json README.md Makefile);
	linked('somebody@nowhere.1:2', "$root/matmul/.#k.c");
});
saves('hidden directories', sub {
	make("$root/.devserve", "$root/.devserve/x", "$root/matmul/.cache");
	put("$root/.devserve/x/k.c");
	put("$root/matmul/.cache/k.c");
});
SKIP: {
	skip 'Vim is missing', 2 unless have('vim');
	saves('Vim with backupcopy=yes', sub {
		run('vim', '-es', '-u', 'NONE', '-c', 'set backupcopy=yes swapfile', '-c', 'normal oint v;', '-c', 'wq', $k);
	}, 'matmul/k.c');
}
ok($watch->end, 'the watch ends and leaves nothing');

# Several files or events: with a rest that a busy machine doesn't break

$watch = Watch->start($print, $root, 60);
is_deeply($watch->batch, everything(), 'started again');

SKIP: {
	skip 'Vim is missing', 8 unless have('vim');
	for my $set ('backupcopy=no swapfile writebackup', 'backupcopy=no backup fsync', 'backupcopy=auto') {
		saves("Vim with $set", sub {
			run('vim', '-es', '-u', 'NONE', '-c', "set $set", '-c', 'normal oint v;', '-c', 'wq', $k);
		}, 'matmul/k.c');
	}
	saves('Vim saves two files', sub {
		run('vim', '-es', '-u', 'NONE', '-c', 'set hidden backupcopy=no', '-c', 'normal oint v;',
		    '-c', "e $root/single.c", '-c', 'normal oint u;', '-c', 'wqa', $k);
	}, 'matmul/k.c', 'single.c');
}
saves('install', sub { put("$tmp/new.c"); run('install', '-m', '644', "$tmp/new.c", $k) }, 'matmul/k.c');
saves('JetBrains', sub {
	put("${k}___jb_tmp___");
	move($k, "${k}___jb_old___");
	move("${k}___jb_tmp___", $k);
	remove("${k}___jb_old___");
}, 'matmul/k.c');
saves('Emacs: lock, autosave, backup by renaming', sub {
	linked('somebody@nowhere.1:3', "$root/matmul/.#e.c");
	put("$root/matmul/#k.c#");
	move($k, "$k~");
	put($k);
	remove("$root/matmul/#k.c#", "$root/matmul/.#e.c");
}, 'matmul/k.c');
saves('Sublime', sub { put("$root/matmul/.subl1f2.tmp"); move("$root/matmul/.subl1f2.tmp", $k) }, 'matmul/k.c');
saves('renamed', sub { move("$root/matmul/new.cu", "$root/matmul/old.cu") }, 'matmul/new.cu', 'matmul/old.cu');
saves('twenty files', sub { put("$root/matmul/f$_.c") for 1 .. 20 }, map { "matmul/f$_.c" } 1 .. 20);
saves('two hundred files', sub { put("$root/matmul/f$_.c") for 1 .. 200 }, map { "matmul/f$_.c" } 1 .. 200);
remove("$root/matmul/f$_.c") for 1 .. 200;
is_deeply($watch->batch, paths(map { "matmul/f$_.c" } 1 .. 200), 'two hundred files removed');

{
	my $new = "$root/matmul/slow.c";

	sysopen my $to, $new, O_WRONLY | O_CREAT or die;
	syswrite $to, 'int ';
	quiet('a new file that is half written says nothing');
	saves('before it is closed', sub { syswrite $to, "x;\n"; close $to }, 'matmul/slow.c');

	remove($new);
	sysopen $to, $new, O_WRONLY | O_CREAT or die;
	put("$root/matmul/beside.c");
	saves('one that vanished and is made again is waited for', sub { close $to }, 'matmul/beside.c', 'matmul/slow.c');
}

SKIP: {
	skip 'git is missing', 8 unless have('git');
	my $git = "git -C $root -c core.fsync=none -c gc.auto=0";
	my @many = map { "d" . ($_ % 5) . "/f$_.c" } 1 .. 60;

	make(map { "$root/d$_" } 0 .. 4);
	put("$root/$_") for @many;
	$watch->batch;
	quiet('files for git');
	sh("git -C $root init -q && $git add 'd*' && $git commit -qm one && $git branch one");
	put("$root/$_", "int y;\n") for @many;
	is_deeply($watch->batch, paths(@many), 'all files are written');
	sh("$git commit -qam two");
	quiet('git commit');
	saves('git checkout of sixty files', sub { sh("$git checkout -q one") }, @many);
	put("$root/d1/f1.c", "int z;\n");
	put("$root/d2/f2.c", "int z;\n");
	is_deeply($watch->batch, paths('d1/f1.c', 'd2/f2.c'), 'two files are written');
	saves('git stash', sub { sh("$git stash -q") }, 'd1/f1.c', 'd2/f2.c');
}

# Directories

saves('mkdir, mkdir, write', sub { make("$root/a", "$root/a/b"); put("$root/a/b/x.c") }, 'a', 'a/b', 'a/b/x.c');
saves('mkdir -p && cp', sub { sh("mkdir -p $root/p/q/r && cp $k $root/p/q/r/x.c") },
      'p', 'p/q', 'p/q/r', 'p/q/r/x.c');
saves('written there later', sub { put("$root/p/q/r/y.h") }, 'p/q/r/y.h');
saves('an empty directory', sub { make("$root/empty") }, 'empty');
saves('rmdir', sub { rmdir "$root/empty" or die }, 'empty');
saves('renamed', sub { move("$root/a", "$root/z") }, 'a', 'z', 'z/b', 'z/b/x.c');
saves('written below the new name', sub { put("$root/z/b/x.c") }, 'z/b/x.c');
saves('moved into another', sub { move("$root/z", "$root/p/z") }, 'z', 'p/z', 'p/z/b', 'p/z/b/x.c');
saves('written there', sub { put("$root/p/z/b/x.c") }, 'p/z/b/x.c');
saves('moved out', sub { move("$root/p", "$tmp/elsewhere/p") }, 'p');
saves('written outside', sub { put("$tmp/elsewhere/p/z/b/x.c"); put("$tmp/elsewhere/p/q/r/y.h") });
saves('moved in', sub { move("$tmp/elsewhere/p", "$root/p") },
      qw(p p/q p/q/r p/q/r/x.c p/q/r/y.h p/z p/z/b p/z/b/x.c));
saves('renamed to and fro', late(sub { move("$root/p/z", "$root/p/t"); move("$root/p/t", "$root/p/z") }),
      qw(p/t p/z p/z/b p/z/b/x.c));
saves('two change names', late(sub {
	move("$root/p/q", "$root/p/t");
	move("$root/p/z", "$root/p/q");
	move("$root/p/t", "$root/p/z");
}), qw(p/q p/q/b p/q/b/x.c p/t p/z p/z/r p/z/r/x.c p/z/r/y.h));
saves('written in both', sub { put("$root/p/q/b/x.c"); put("$root/p/z/r/x.c") }, qw(p/q/b/x.c p/z/r/x.c));
saves('hidden by its name', sub { move("$root/p/q", "$root/p/.q") }, 'p/q');
saves('written while hidden', sub { put("$root/p/.q/b/x.c") });
saves('rm -r', sub { run('rm', '-r', "$root/p") }, qw(p p/z p/z/r p/z/r/x.c p/z/r/y.h));
saves('another takes its name', late(sub {
	make("$root/s", "$root/s/old");
	move("$root/s", "$tmp/elsewhere/s");
	make("$root/s", "$root/s/new");
	put("$root/s/new/k.c");
}), qw(s s/new s/new/k.c));
saves('written in the other', sub { put("$root/s/new/k.c"); put("$tmp/elsewhere/s/old/k.c") }, 's/new/k.c');
saves('replaced by a file', sub { make("$root/f.c"); rmdir "$root/f.c"; put("$root/f.c") }, 'f.c');

{
	my $helper = $watch->helper;
	my $watches = sub {
		my $n = 0;

		for (glob "/proc/$helper/fdinfo/*") {
			open my $info, '<', $_ or next;
			$n += grep { /^inotify wd:/ } <$info>;
		}
		return $n;
	};
	my $before = $watches->();

	cmp_ok($before, '>', 1, 'the kernel says how many watches there are');
	for (1 .. 5) {
		make("$root/many", map { "$root/many/$_" } 1 .. 20);
		move("$root/many", "$tmp/many");
		run('rm', '-r', "$tmp/many");
	}
	told();
	is($watches->(), $before, 'and not one more watch is left');
}

# Whatever was moved wherever, in the end each directory that is there tells, by its name

{
	my $seed = $ENV{T_SEED} // time;
	my ($place, @names) = ("$root/random", qw(a b c .h));
	my ($n_told, @wrong) = (0);
	my $below;

	# All directories below and including @from that the watch enters.
	$below = sub {
		my ($from) = @_;
		return $from, map { -d && !-l ? $below->($_) : () } glob "$from/*";
	};
	srand $seed;
	make($place);
	for my $round (1 .. ($ENV{T_LONG} ? 1000 : 15)) {
		for (1 .. 40) {
			my @all = ($below->($place), glob "$place/.h/*");
			my ($from, $name) = ($all[rand @all], $names[rand @names]);
			my $to = "$all[rand @all]/$name";
			my $what = rand;

			$what < .4 ? mkdir $to
			: $what < .8 && $from ne $place ? rename $from, $to
			: $what < .87 && $from ne $place ? rename $from, "$tmp/elsewhere/$name"
			: $what < .95 ? rename "$tmp/elsewhere/$name", $to
			: rmdir $from;
		}
		make($place) unless -d $place;
		my %expected;
		told(); # so that only the writing is left to be told
		for ($below->($place)) {
			put("$_/probe.h");
			$expected{substr("$_/probe.h", 1 + length $root)} = 1;
		}
		my %told = told();
		$n_told += keys %expected;
		push @wrong, "round $round: $_" for grep { !$told{$_} } keys %expected;
	}
	is_deeply(\@wrong, [], "random moves, T_SEED=$seed: $n_told directories told what was written in them");
	run('rm', '-rf', $place);
	told();
}

# Symbolic links

make("$tmp/one", "$tmp/two");
put("$tmp/one/k.c");
put("$tmp/two/k.c");
saves('a link to a directory', sub { linked("$tmp/one", "$root/linked") }, 'linked', 'linked/k.c');
saves('written at the target', sub { put("$tmp/one/k.c") }, 'linked/k.c');
saves('made at the target', sub { make("$tmp/one/sub"); put("$tmp/one/sub/s.c") }, 'linked/sub', 'linked/sub/s.c');
saves('the link leads elsewhere', sub { linked("$tmp/two", "$tmp/swap"); move("$tmp/swap", "$root/linked") },
      'linked', 'linked/k.c');
saves('written at the old target', sub { put("$tmp/one/k.c") });
saves('written at the new one', sub { put("$tmp/two/k.c") }, 'linked/k.c');
saves('the link is removed', sub { remove("$root/linked") }, 'linked');
saves('written at its target', sub { put("$tmp/two/k.c") });
saves('a link to above is not followed', sub { linked($tmp, "$root/up") });
saves('a link further down is not followed', sub { linked("$tmp/one", "$root/matmul/down") });
saves('written there', sub { put("$tmp/one/k.c") });
make("$tmp/far");
put("$tmp/far/$_") for 'f.c', 'blob';
saves('a link to a file elsewhere', sub { linked("$tmp/far/f.c", "$root/matmul/f.c") }, 'matmul/f.c');
saves('written where it leads', sub { put("$tmp/far/f.c", 'int f;') }, 'matmul/f.c');
saves('renamed over where it leads', sub { put("$tmp/far/new"); move("$tmp/far/new", "$tmp/far/f.c") }, 'matmul/f.c');
saves('others there are nothing', sub { put("$tmp/far/g.c"); make("$tmp/far/sub"); put("$tmp/far/sub/f.c") });
saves('the link leads to another file', sub { linked("$tmp/far/blob", "$tmp/swap"); move("$tmp/swap", "$root/matmul/f.c") },
      'matmul/f.c');
saves('written where it led', sub { put("$tmp/far/f.c") });
saves('written where it leads now', sub { put("$tmp/far/blob") }, 'matmul/f.c');
saves('the link to a file is removed', sub { remove("$root/matmul/f.c") }, 'matmul/f.c');
saves('written where no link leads', sub { put("$tmp/far/blob") });
saves('a second name within the tree', sub { linked("$root/matmul", "$root/alias") }, 'alias');
saves('is told under both', sub { put($k) }, 'matmul/k.c', 'alias/k.c');
saves('until it is gone', sub { remove("$root/alias") }, 'alias');
saves('then under one', sub { put($k) }, 'matmul/k.c');
saves('as Kubernetes mounts a volume', sub {
	make("$root/..1", "$root/..1/vol");
	put("$root/..1/vol/k.c");
	linked('..1', "$root/..data");
	linked('..data/vol', "$root/vol");
}, 'vol', 'vol/k.c');
saves('and changes it', sub {
	make("$root/..2", "$root/..2/vol");
	put("$root/..2/vol/k.c");
	linked('..2', "$root/..tmp");
	move("$root/..tmp", "$root/..data");
}, 'vol', 'vol/k.c');

# Too many events

{
	open my $limit, '<', '/proc/sys/fs/inotify/max_queued_events' or die;
	my $n = <$limit> / 2 + 100;

	make("$root/full");
	put("$root/full/0.o");
	$watch->batch;
	late(sub {
		move("$root/full/" . ($_ - 1) . '.o', "$root/full/$_.o") for 1 .. $n; # two events each
		make("$root/unseen");
		put("$root/unseen/k.c");
		move("$root/unseen", "$root/seen");
	})->();
	is_deeply($watch->batch, { %{everything()}, overflow => JSON::PP::true }, 'an overflow means everything');
	quiet('overflow');
	saves('written where no event told of', sub { put("$root/seen/k.c") }, 'seen/k.c');
	run('rm', '-r', "$root/full", "$root/seen");
	is_deeply($watch->batch, paths('full', 'seen', 'seen/k.c'), 'and removed');
}
is_deeply($watch->{notices}, [], 'there was nothing to complain of');

# Death of devserve-watch

sub until_everything {
	my ($name) = @_;
	my $batch;

	do { $batch = $watch->batch } until $batch->{everything} || $batch->{nothing};
	is_deeply($batch, everything(), "$name: everything is compared");
}

sub dies {
	my ($when, $n_deaths, $do) = @_;
	my ($helper, $before) = (0, 0);

	$do->();
	for (1 .. $n_deaths) {
		eventually(sub { ($helper = $watch->helper) != $before })
			or return fail("$when: it is started again");
		$before = $helper;
		kill KILL => $helper;
	}
	put("$root/matmul/unseen.c");
	like($watch->notice, qr/^devserve-watch was ended by signal 9 \(Killed\)/, "$when: it is said")
		for 1 .. $n_deaths;
	until_everything($when);
	quiet($when);
}

dies('killed while nothing happens', 1, sub {});
dies('killed in a storm', 1, sub { put("$root/matmul/s$_.c") for 1 .. 50 });
dies('killed while it starts', 2, sub {});

# The root itself

saves('before the root is moved', sub { put($k) }, 'matmul/k.c');
move($root, "$tmp/moved");
like($watch->notice, qr/^\Q$root\E is gone/, 'a root that is moved is missed');
until_everything('a root that is moved');
make($root, "$root/matmul");
is_deeply($watch->batch, everything(), 'another that comes is watched');
saves('written in it', sub { put($k) }, 'matmul/k.c');
run('rm', '-r', $root);
like($watch->notice, qr/^\Q$root\E is gone/, 'a root that is deleted is missed');
until_everything('a root that is deleted');
make($root, "$root/matmul");
is_deeply($watch->batch, everything(), 'and watched again');
saves('written in that', sub { put($k) }, 'matmul/k.c');
move($tmp, "$tmp-moved");
like($watch->notice, qr/^\Q$root\E is gone/, 'a directory above that is moved is noticed');
until_everything('a directory above that is moved');
move("$tmp-moved", $tmp);
is_deeply($watch->batch, everything(), 'and watched when it is back');
ok($watch->end, 'the watch ends and leaves nothing');

# It doesn't outlive the server

$watch = Watch->start($print, $root, 60);
$watch->batch;
{
	my $helper = $watch->helper;

	kill KILL => $watch->{pid};
	waitpid $watch->{pid}, 0;
	# A zombie that nobody has fetched yet will do.
	ok(eventually(sub {
		open my $stat, '<', "/proc/$helper/stat" or return 1;
		return (<$stat> // '') =~ /\) Z /;
	}), 'devserve-watch ends with a server that is killed');
}

# Without events

# What is written right before a look is told again after the next: it may come once more.
my %polled;

sub polls {
	my ($name, $do, @expected) = @_;
	my (%seen, $batch);

	$do->();
	@polled{@expected} = ();
	until (@expected == grep { $seen{$_} } @expected) {
		$batch = $watch->batch;
		return fail("polling: $name: $batch->{nothing}") if $batch->{nothing};
		$seen{$_} = 1 for @{$batch->{paths}};
	}
	is_deeply([grep { !exists $polled{$_} } keys %seen], [], "polling: $name");
}


$watch = Watch->start($print, $root, 60, '--poll');
is_deeply($watch->batch, everything(), 'polling starts with everything');
polls('written', sub { put($k, 'int longer;') }, 'matmul/k.c');
polls('mv over it', sub { put("$tmp/new.c"); move("$tmp/new.c", $k) }, 'matmul/k.c');
polls('a new directory', sub {
	make("$root/a", "$root/a/.b");
	put($_) for "$root/a/x.c", "$root/a/x.o", "$root/a/.b/y.c";
}, 'a', 'a/x.c');
polls('rm -r', sub { run('rm', '-r', "$root/a") }, 'a', 'a/x.c');
polls('a link', sub { linked("$tmp/one", "$root/linked") }, qw(linked linked/k.c linked/sub linked/sub/s.c));
polls('which is removed', sub { remove("$root/linked") }, qw(linked linked/k.c linked/sub linked/sub/s.c));
is_deeply($watch->{notices}, [], 'there was nothing to complain of');
ok($watch->end, 'polling ends and leaves nothing');

# Limits are set in a user namespace of our own, so that nobody else is hit.
sub limited {
	my ($limit, $value) = @_;

	return ('unshare', '-Ur', 'sh', '-c', "echo $value >/proc/sys/user/$limit && exec \"\$@\"", 'sh', $print, $root, 60);
}

SKIP: {
	skip 'no user namespaces here', 11 if system "unshare -Ur sh -c 'echo 3 >/proc/sys/user/max_inotify_watches' 2>/dev/null";

	$watch = Watch->start(limited(max_inotify_instances => 0));
	like($watch->notice, qr/^\Q$root\E can't be watched: fs\.inotify\.max_user_instances is \d+ .*sudo sysctl fs\.inotify\.max_user_instances=\d+,/,
	     'without an instance it says what to do');
	is_deeply($watch->batch, everything(), 'and goes on');
	polls('without an instance', sub { put($k, 'int without an instance;') }, 'matmul/k.c');
	ok($watch->end, 'and ends');

	$watch = Watch->start(limited(max_inotify_watches => 2));
	is_deeply($watch->batch, everything(), 'two watches are enough for two directories');
	saves('by events', sub { put($k) }, 'matmul/k.c');
	make("$root/third");
	like($watch->notice, qr/^\Q$root\E\/third can't be watched: fs\.inotify\.max_user_watches is \d+ .*sudo sysctl fs\.inotify\.max_user_watches=(\d{7,}|[6-9]\d{5}|5[3-9]\d{4}|52[5-9]\d{3}|524[3-9]\d{2}|52428[89]),/,
	     'with the third it says what to do');
	until_everything('from then on it polls');
	polls('without a watch', sub { put($k, 'int without a watch;') }, 'matmul/k.c');
	ok($watch->end, 'and ends');
}

SKIP: {
	skip 'no preloading below a sanitizer', 4 if $ENV{DEVSERVE_SANITIZE};
	open my $cc, '|-', 'cc', '-xc', '-shared', '-fPIC', '-o', "$tmp/nfs.so", '-' or skip 'no compiler', 4;
	print $cc qq{#include <sys/vfs.h>\nint statfs(const char *p, struct statfs *s) { s->f_type = 0x6969; return 0; }\n};
	close $cc or skip 'no compiler', 4;

	local $ENV{LD_PRELOAD} = "$tmp/nfs.so";
	$watch = Watch->start($print, $root, 60);
	delete $ENV{LD_PRELOAD};
	like($watch->notice, qr/^\Q$root\E is on NFS, where not every change gives an event\./, 'a network file system is noticed');
	is_deeply($watch->batch, everything(), 'and polled');
	polls('on NFS', sub { put($k, 'int on NFS;') }, 'matmul/k.c');
	ok($watch->end, 'and ends');
}

done_testing();
