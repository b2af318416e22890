package examples;

/** A class that is no function: deploying it shows how a mistake is told. */
public class NoFunction {
}
